"""Figures of matplotlib, as PNG for files and as SVG for a page with a light and a dark scheme."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_passd.report.style import COLOURS, INK, MUTED, PAPER, RULE

WIDE, NARROW = 11.5, 4.6  # inches: a desktop's column and a phone's
DPI = 72  # a pixel is a point

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_RULES = {
    "text.parse_math": False,  # a name from outside may hold dollars
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "svg.fonttype": "none",  # text stays text: it can be read out, found and copied
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER.light,
    "axes.facecolor": PAPER.light,
    "axes.edgecolor": MUTED.light,
    "axes.labelcolor": INK.light,
    "text.color": INK.light,
    "xtick.color": MUTED.light,
    "ytick.color": MUTED.light,
    "xtick.labelcolor": INK.light,
    "ytick.labelcolor": INK.light,
    "grid.color": RULE.light,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Plot:
    """name: of a file, without suffix. title: short. words: what it shows, for those who cannot
    see it. draw: makes the figure, of a width in inches."""

    name: str
    title: str
    words: str
    draw: Callable[[float], Figure]


def png(plot: Plot) -> bytes:
    """The plot on white, 160 dots an inch; the same rows give the same bytes."""
    with _rules(plot.name):
        stream = io.BytesIO()
        plot.draw(WIDE).savefig(stream, format="png", dpi=160, metadata={"Software": None})
    return stream.getvalue()


def svg(plot: Plot, width: float) -> str:
    """An <svg> element for HTML, with role and title, colours as variables of the page."""
    salt = f"{plot.name}-{width:g}"
    with _rules(salt):
        stream = io.BytesIO()
        plot.draw(width).savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(stream.getvalue(), plot, salt)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one plot, in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots()


@contextmanager
def _rules(salt: str) -> Iterator[None]:
    rules: Any = {**_RULES, "svg.hashsalt": salt}
    with matplotlib.rc_context(rules), warnings.catch_warnings():
        # A browser has letters that this font lacks; a PNG shows a box for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _for_page(content: bytes, plot: Plot, salt: str) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(content)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    variables = {colour.light: f"var(--{colour.name})" for colour in COLOURS}
    for element in root.iter():
        if element.tag == f"{{{_SVG}}}g":  # named alike in every figure, and not referred to
            element.attrib.pop("id", None)
        if "style" in element.attrib:
            style = element.attrib["style"].replace("'DejaVu Sans'", "'DejaVu Sans', Verdana")
            for light, variable in variables.items():
                style = style.replace(light, variable)
            element.set("style", style)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{salt}-title {salt}-words".replace(".", "_"))
    for position, (tag, words) in enumerate((("title", plot.title), ("desc", plot.words))):
        name = "title" if tag == "title" else "words"
        element = ElementTree.Element(
            f"{{{_SVG}}}{tag}", {"id": f"{salt}-{name}".replace(".", "_")}
        )
        element.text = words
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")
