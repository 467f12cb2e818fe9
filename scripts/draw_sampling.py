"""Draws where the offset convolution samples a map, and what it loads there.

.venv/bin/python scripts/draw_sampling.py docs/images/sampling.svg
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

import click
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edge_passd.errors import BadInput
from edge_passd.files import replacing, require_writable
from edge_passd.offset_sample import TAP_COLUMNS, TAP_ROWS, TAPS

FORMATS = ("svg", "png")
CELLS = 5  # a side of the map: the coarsest level of 320 px
ANCHORS, CLASSES, LANES = 3, 6, 16
DEPTH = CLASSES + 4
OWN_CELL, ANCHOR, TAP = (1, 3), 1, 1  # what is shown in detail

INK, GREY, FAINT, BLUE = "#1f2328", "#8c959f", "#d0d7de", "#0969da"
CHOSEN, OUTSIDE, ZERO = "#ffd8a8", "#e4e7eb", "#c9ced6"
WHITE = "white"  # behind everything: the picture stands on light and dark pages
WIDTH, HEIGHT = 9.0, 0.62  # of a bar of memory


@dataclass(frozen=True)
class Box:
    """Centre and size in cells; the centre of cell (0, 0) is (0, 0)."""

    cy: float
    cx: float
    h: float
    w: float

    def tap(self, number: int) -> tuple[float, float]:
        """y and x of a tap (eq. 4)."""
        return (
            self.cy + float(TAP_ROWS[number]) * self.h / 3,
            self.cx + float(TAP_COLUMNS[number]) * self.w / 3,
        )


@dataclass(frozen=True)
class Corner:
    """A cell next to a tap. weight: its share of the sample, 0 outside the map."""

    row: int
    column: int
    weight: float
    inside: bool


ADJUSTED = Box(cy=0.8, cx=3.3, h=3.3, w=3.3)  # crosses the map's border on two sides


def corners(y: float, x: float) -> list[Corner]:
    """The four cells around a point of the map."""
    top, left = floor(y), floor(x)
    found = []
    for row, down in ((top, top + 1 - y), (top + 1, y - top)):
        for column, across in ((left, left + 1 - x), (left + 1, x - left)):
            inside = 0 <= row < CELLS and 0 <= column < CELLS
            found.append(Corner(row, column, down * across if inside else 0.0, inside))
    return found


@click.command(help=__doc__)
@click.argument("picture", type=click.Path(dir_okay=False, path_type=Path))
def main(picture: Path) -> None:
    kind = picture.suffix[1:].lower()
    try:
        if kind not in FORMATS:
            raise BadInput(f"{picture}: name a file that ends with .{' or .'.join(FORMATS)}")
        require_writable(picture)
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    # With names and date fixed the same drawing is the same file.
    with matplotlib.rc_context({"svg.hashsalt": "sampling"}), replacing(picture) as temporary:
        metadata = {"Date": None} if kind == "svg" else {}
        draw().savefig(temporary, format=kind, dpi=150, metadata=metadata)


def draw() -> Figure:
    """The map on the left, memory on the right."""
    figure = Figure(figsize=(9.4, 4.35), facecolor=WHITE)
    left, right = (
        figure.add_axes((start, 0.0, width, 0.93))
        for start, width in ((0.005, 0.445), (0.46, 0.535))
    )
    for axes in (left, right):
        axes.set_axis_off()
    draw_map(left)
    draw_memory(right)
    return figure


def draw_map(axes: Axes) -> None:
    """The cells of a map, a box with its taps, and the corners of one of them."""
    axes.set(xlim=(-1.75, 6.1), ylim=(6.05, -1.75), aspect="equal")
    _title(axes, "A box on its map, in cells")
    _rectangle(axes, -1.5, -1.5, CELLS + 2, CELLS + 2, OUTSIDE, "none")
    _rectangle(axes, -0.5, -0.5, CELLS, CELLS, WHITE, "none")
    for row in range(-1, CELLS + 1):
        for column in range(-1, CELLS + 1):
            _rectangle(axes, column - 0.5, row - 0.5, 1, 1, "none", FAINT)
    y, x = ADJUSTED.tap(TAP)
    around = corners(y, x)
    for corner in around:
        color = CHOSEN if corner.inside else ZERO
        _rectangle(axes, corner.column - 0.5, corner.row - 0.5, 1, 1, color, GREY)
    _rectangle(axes, -0.5, -0.5, CELLS, CELLS, "none", GREY, line=1.6)
    draw_box(axes)
    for corner in around:
        axes.plot([x, corner.column], [y, corner.row], color=INK, lw=0.9, zorder=4)
        axes.plot(corner.column, corner.row, "s", color=INK, ms=3.5, zorder=4)
        below = 0.27 if corner.row > y else -0.25
        _text(axes, corner.column, corner.row + below, f"{corner.weight:.2f}" if corner.inside
              else "0", back=CHOSEN if corner.inside else ZERO, size=9, weight="bold")  # fmt: skip
    axes.plot(x, y, "o", color=BLUE, mec=INK, ms=8, zorder=7)
    row, column = OWN_CELL
    axes.plot(column, row, "o", mfc=WHITE, mec=INK, ms=5, zorder=5)
    _text(axes, -0.35, 4.25, f"map of {CELLS} x {CELLS} cells", back=WHITE, ha="left")
    _text(axes, -1.3, -1.1, "outside a corner counts 0", back=OUTSIDE, ha="left")
    for at, marker, face, edge, says in (
        (-1.4, "o", WHITE, INK, "centre of the box's cell"),
        (2.45, "o", BLUE, BLUE, "tap"),
        (3.75, "s", INK, INK, "corner of a tap"),
    ):
        axes.plot(at, 5.8, marker, mfc=face, mec=edge, ms=5)
        _text(axes, at + 0.2, 5.8, says, ha="left")


def draw_box(axes: Axes) -> None:
    """The adjusted box, its 3x3 partition and a tap in the middle of each part."""
    height, width = ADJUSTED.h / 3, ADJUSTED.w / 3
    for number in range(TAPS):
        y, x = ADJUSTED.tap(number)
        _rectangle(axes, x - width / 2, y - height / 2, width, height, "none", BLUE, zorder=3)
        axes.plot(x, y, "o", color=BLUE, ms=5, zorder=5)
    left, top = ADJUSTED.cx - ADJUSTED.w / 2, ADJUSTED.cy - ADJUSTED.h / 2
    _rectangle(axes, left, top, ADJUSTED.w, ADJUSTED.h, "none", BLUE, line=2.2, zorder=3)


def draw_memory(axes: Axes) -> None:
    """From the pixels of a row to the values that one vector load takes."""
    axes.set(xlim=(-0.1, 9.9), ylim=(0.25, 8.0))
    _title(axes, "The large tap's corner (0, 3) in memory")
    near, other = (each for each in corners(*ADJUSTED.tap(TAP)) if each.inside)
    pixels, anchors, taps, values = 6.9, 5.3, 3.7, 2.1  # heights of the bars
    pixel = _bar(axes, pixels, "pixels of a row",
                 [f"({near.row}, {column})" for column in range(CELLS)], near.column)  # fmt: skip
    _zoom(axes, pixel, (0, WIDTH), pixels, anchors)
    anchor = _bar(axes, anchors, "anchors of a pixel",
                  [f"anchor {each}" for each in range(ANCHORS)], ANCHOR)  # fmt: skip
    _rectangle(axes, WIDTH, anchors, 0.35, HEIGHT, WHITE, GREY, hatch="////")
    _text(axes, WIDTH + 0.2, anchors - 0.35, "filled up to\na vector", size=7.5)
    _zoom(axes, anchor, (0, WIDTH), anchors, taps)
    tap = _bar(axes, taps, "taps of an anchor", [str(each) for each in range(TAPS)], TAP)
    lane = WIDTH / LANES
    _zoom(axes, tap, (0, DEPTH * lane), taps, values)
    for first, last, face, says in (
        (0, CLASSES, CHOSEN, f"{CLASSES} classes"),
        (CLASSES, DEPTH, CHOSEN, "4 offsets"),
        (DEPTH, LANES, WHITE, f"of tap {TAP + 1}, not used"),
    ):
        for i in range(first, last):
            _rectangle(axes, i * lane, values, lane, HEIGHT, face, GREY)
        _text(axes, (first + last) / 2 * lane, values + HEIGHT + 0.25, says, back=WHITE, size=8)
    bottom = values - 0.2
    axes.plot(
        [0, 0, WIDTH, WIDTH], [bottom + 0.13, bottom, bottom, bottom + 0.13], color=INK, lw=1.1
    )
    _text(axes, WIDTH / 2, bottom - 0.3, f"one load of {LANES} lanes takes all D = {DEPTH}")
    total = f"sum  +=  {near.weight:.2f} x this vector  +  {other.weight:.2f} x that of "
    total += f"({other.row}, {other.column})"
    _text(axes, WIDTH / 2, 0.75, total, size=9, weight="bold")


def _bar(
    axes: Axes, y: float, title: str, names: Sequence[str], chosen: int
) -> tuple[float, float]:
    """Neighbours in memory; the ends of the chosen one."""
    step = WIDTH / len(names)
    for i, name in enumerate(names):
        _rectangle(axes, i * step, y, step, HEIGHT, CHOSEN if i == chosen else WHITE, GREY)
        _text(axes, (i + 0.5) * step, y + HEIGHT / 2, name)
    _text(axes, 0, y + HEIGHT + 0.27, title, back=WHITE, ha="left")
    return chosen * step, (chosen + 1) * step


def _zoom(
    axes: Axes, part: tuple[float, float], whole: tuple[float, float], above: float, below: float
) -> None:
    """From the ends of a part to the bar below, which shows it larger."""
    for ends in zip(part, whole, strict=True):
        axes.plot(ends, [above, below + HEIGHT], color=GREY, lw=0.8, ls=(0, (3, 2)), zorder=0)


def _title(axes: Axes, says: str) -> None:
    axes.set_title(says, fontsize=10, color=INK, pad=4)


def _text(
    axes: Axes, x: float, y: float, says: str, back: str = "none", size: float = 8.5,
    ha: str = "center", weight: str = "normal",
) -> None:  # fmt: skip
    axes.text(
        x, y, says, ha=ha, va="center", fontsize=size, weight=weight, color=INK, zorder=6,
        linespacing=1.0, bbox={"facecolor": back, "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def _rectangle(
    axes: Axes, x: float, y: float, width: float, height: float, face: str, edge: str,
    line: float = 0.8, **how: Any,
) -> None:  # fmt: skip
    how = {"zorder": 1, **how}
    axes.add_patch(Rectangle((x, y), width, height, fc=face, ec=edge, lw=line, **how))


if __name__ == "__main__":
    main()
