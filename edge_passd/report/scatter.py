"""AP over what it costs: the main plot, over latency, and the one over energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from edge_passd.report.axis import log_axis
from edge_passd.report.comparison import Entry, Section
from edge_passd.report.figure import WIDE, new_figure
from edge_passd.report.labels import shortened
from edge_passd.report.place import Box, place
from edge_passd.report.rank import pareto
from edge_passd.report.style import (
    INK,
    MARKERS,
    MUTED,
    PAPER,
    Colour,
    board_colour,
    marker,
)
from edge_passd.report.values import SMALLEST, number

LEAST_SPAN = 8.0  # points of AP that the axis shows: less would blow up what is noise

_RADIUS = 5.5  # of a mark, in points
_LEGEND_LINE = 0.2  # inches
_LEGEND_BOARDS = 8

Cost = Callable[[Entry], float | None]


def ap_over_latency(section: Section, width: float) -> Figure:
    """AP over p50, with bars from p10 to p90 and the Pareto line of the ranked rows."""
    line = [(entry.p50, _ap(entry)) for entry in section.line]
    return _scatter(section, lambda entry: entry.p50, "p50 latency, ms", line, True, width)


def ap_over_energy(section: Section, width: float) -> Figure:
    """AP over joules a frame, of the rows that know it."""
    ranked = [entry for entry in section.ranked if joules(entry)]
    points = [(joules(entry) or 0.0, _ap(entry)) for entry in ranked]
    on_line = pareto(points)
    line = sorted(point for point, is_on_line in zip(points, on_line, strict=True) if is_on_line)
    return _scatter(section, joules, "energy, J a frame", line, False, width)


def joules(entry: Entry) -> float | None:
    """A frame; None if unknown, or 0, which no machine needs."""
    value = number(entry.row, "power.j_per_frame")
    return value if value is not None and value >= SMALLEST else None


def _scatter(
    section: Section,
    cost: Cost,
    x_label: str,
    line: Sequence[tuple[float, float]],
    bars: bool,
    width: float,
) -> Figure:
    entries = [entry for entry in section.entries if cost(entry)]
    numbers = sorted({(entry.board_number, entry.board) for entry in entries})
    colours = {board: board_colour(position) for position, board in numbers}
    legend = _legend(entries, colours, bool(line), bars)
    if width >= WIDE:
        columns = len(legend) if len(colours) < 3 else 4
    else:
        columns = 1 if len(colours) > 1 else 2
    figure, axes = new_figure(width, 4.8 + _LEGEND_LINE * ceil(len(legend) / columns))
    costs = [cost(entry) or 0.0 for entry in entries]
    spans = [_bar(entry) for entry in entries] if bars else [(each, each) for each in costs]
    log_axis(axes, [edge for span in spans for edge in span], width)
    low, high = _ap_limits([_ap(entry) for entry in entries])
    data = f"{shortened(section.data or '', 40)}, {section.images} images"
    axes.set(xlabel=f"{x_label}  ({data})", ylim=(low, high))
    axes.set_title("AP, %", loc="left", fontsize=10)
    axes.yaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10]))
    axes.grid(True)
    steps = sorted(set(line))
    if steps:
        steps.append((axes.get_xlim()[1], steps[-1][1]))
        x, y = ([point[i] for point in steps] for i in (0, 1))
        axes.step(x, y, where="post", color=MUTED.light, lw=1.4, ls="--")
    for entry, at, span in zip(entries, costs, spans, strict=True):
        _mark(axes, entry, at, span, colours[entry.board])
    figure.legend(
        handles=legend,
        loc="outside upper left",
        ncols=columns,
        fontsize=9,
        handlelength=1.6,
        columnspacing=1.4,
    )
    _name(figure, axes, entries, costs, spans, steps)
    return figure


def _ap(entry: Entry) -> float:
    return 100 * (entry.ap or 0.0)


def _bar(entry: Entry) -> tuple[float, float]:
    latency = entry.row["latency_ms"]
    return latency["p10"], latency["p90"]


def _ap_limits(aps: Sequence[float]) -> tuple[float, float]:
    middle = (min(aps) + max(aps)) / 2
    half = max(LEAST_SPAN, 1.25 * (max(aps) - min(aps))) / 2
    low = max(-1.0, middle - half)
    return low, low + 2 * half


def _mark(axes: Axes, entry: Entry, x: float, span: tuple[float, float], colour: Colour) -> None:
    axes.plot(span, [_ap(entry)] * 2, color=colour.light, lw=2, alpha=0.45, zorder=2)
    axes.plot(
        x,
        _ap(entry),
        color=colour.light,
        marker=marker(entry.row["precision"]),
        markersize=2 * _RADIUS - 1,
        markerfacecolor=PAPER.light if entry.hollow else colour.light,
        markeredgecolor=colour.light,
        markeredgewidth=1.6,
        zorder=3,
    )


def _legend(
    entries: Sequence[Entry], colours: dict[str, Colour], has_line: bool, has_bars: bool
) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour.light, lw=5, label=shortened(board, 40))
        for board, colour in list(colours.items())[:_LEGEND_BOARDS]
    ]
    if len(colours) > len(handles):
        handles.append(
            Line2D([], [], ls="", label=f"and {len(colours) - len(handles)} more boards")
        )
    marks = {
        (
            entry.row["precision"] if entry.row["precision"] in MARKERS else "other precision"
        ): marker(entry.row["precision"])
        for entry in entries
    }
    style: dict[str, Any] = {
        "ls": "", "markersize": 8, "markeredgewidth": 1.6, "markeredgecolor": INK.light,
    }  # fmt: skip
    handles += [
        Line2D([], [], marker=marks[name], color=INK.light, label=name, **style)
        for name in sorted(marks)
    ]
    if any(entry.hollow for entry in entries):
        handles.append(
            Line2D([], [], marker="o", color=PAPER.light, label="throttled or not ranked", **style)
        )
    if has_line:
        handles.append(Line2D([], [], color=MUTED.light, lw=1.4, ls="--", label="Pareto line"))
    if has_bars:
        handles.append(Line2D([], [], color=MUTED.light, lw=2, alpha=0.6, label="p10 to p90"))
    return handles


def _name(
    figure: Figure,
    axes: Axes,
    entries: Sequence[Entry],
    costs: Sequence[float],
    spans: Sequence[tuple[float, float]],
    steps: Sequence[tuple[float, float]],
) -> None:
    """A name beside each mark; its number on the page where that is all there is room for."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # lays out; what follows must not move it
    figure.set_layout_engine("none")
    order = sorted(range(len(entries)), key=lambda i: (not entries[i].on_line, i))
    marks = [_pixel(axes, costs[i], _ap(entries[i])) for i in order]
    lines = [((spans[i][0], _ap(entries[i])), (spans[i][1], _ap(entries[i]))) for i in order]
    for before, after in pairwise(steps):
        corner = (after[0], before[1])
        lines += [(before, corner), (corner, after)]
    obstacles = [_line_box(axes, *line) for line in lines]
    frame = axes.get_window_extent()
    box = _as_box(frame)
    texts = [
        axes.annotate("", (costs[i], _ap(entries[i])), (0, 0), textcoords="offset points",
                      fontsize=9, annotation_clip=False, zorder=4)
        for i in order
    ]  # fmt: skip
    for name in (lambda i: shortened(entries[i].label), lambda i: f"#{entries[i].number}"):
        left = [k for k, text in enumerate(texts) if not text.get_text()]
        taken = [
            _as_box(text.get_window_extent(canvas.get_renderer()))
            for text in texts
            if text.get_text()
        ]
        for k in left:
            texts[k].set_text(name(order[k]))
        sizes = [
            (extent.width, extent.height)
            for extent in (texts[k].get_window_extent(canvas.get_renderer()) for k in left)
        ]
        others = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in marks]
        busy = [*obstacles, *others, *taken]
        found = place([marks[k] for k in left], sizes, box, busy, _RADIUS)
        for k, where in zip(left, found, strict=True):
            if where is None:
                texts[k].set_text("")
            else:
                texts[k].set_position(where)  # a pixel is a point


def _pixel(axes: Axes, x: float, y: float) -> tuple[float, float]:
    point = axes.transData.transform((x, y))
    return float(point[0]), float(point[1])


def _line_box(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> Box:
    (x1, y1), (x2, y2) = _pixel(axes, *start), _pixel(axes, *end)
    return x1 - 1, y1 - 1, x2 + 1, y2 + 1


def _as_box(extent: Bbox) -> Box:
    return extent.x0, extent.y0, extent.x1, extent.y1
