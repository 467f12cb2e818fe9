"""Axes that several plots share."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from edge_passd.report.figure import WIDE

LEAST_RATIO = 3.0  # between the ends of a logarithmic axis


def log_axis(axes: Axes, values: Sequence[float], width: float) -> None:
    """A logarithmic x axis around values more than 0, with ticks that people read."""
    low, high = min(values), max(values)
    middle = (low * high) ** 0.5
    ratio = max(LEAST_RATIO, 1.4 * high / low)
    axes.set_xscale("log")
    axes.set_xlim(middle / ratio**0.5, middle * ratio**0.5)
    if ratio > 1e3:
        subs: tuple[float, ...] = (1.0,)
    elif ratio > 20 or (width < WIDE and ratio > 12):
        subs = (1.0, 2.0, 5.0)
    else:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=9 if width >= WIDE else 6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def name_rows(axes: Axes, names: Sequence[str], width: float) -> None:
    """Names of rows at y = 0, 1, ... from the top: beside a wide figure, above each in a narrow."""
    axes.set_ylim(len(names) - 0.45, -0.75)
    if width >= WIDE:
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.tick_params(axis="y", length=0)
        return
    axes.set_yticks([])
    for y, name in enumerate(names):
        axes.text(0, y - 0.46, name, fontsize=9, va="center", transform=axes.get_yaxis_transform())
