"""What happened while one row was measured: latency, and under it heat, clocks and power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_passd.report.figure import DPI
from edge_passd.report.strips import latencies_ms
from edge_passd.report.style import BOARDS
from edge_passd.report.values import series

POINTS = 300  # more photos are drawn as the range and the median of so many stretches of time


class Line(NamedTuple):
    """name: of what. times: seconds since the first photo."""

    name: str
    times: Sequence[float]
    values: Sequence[float]


_PANELS = (
    ("°C", {"celsius": "hottest sensor"}),
    ("MHz", {"cpu_mhz": "CPU", "gpu_mhz": "GPU"}),
    ("W", {"watts": "power"}),
)


def timeline(row: Mapping[str, Any], width: float) -> Figure:
    """Panels with one time axis; those of which nothing is known are left out."""
    panels = known_panels(row)
    figure = Figure(figsize=(width, 1.9 + 0.95 * len(panels)), dpi=DPI, layout="constrained")
    heights = [1.6, *(0.8 for _ in panels)]
    stack = figure.subplots(
        len(heights), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    _draw_latency(stack[0], row)
    for axes, (unit, lines) in zip(stack[1:], panels, strict=True):
        for position, line in enumerate(lines):
            axes.plot(line.times, line.values, color=BOARDS[position].light, lw=1.6,
                      label=line.name, marker=".")  # fmt: skip
        axes.margins(y=0.3)
        axes.ticklabel_format(useOffset=False)
        axes.legend(
            fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.95), handlelength=1.2,
            borderpad=0,
        )  # fmt: skip
        _finish(axes, unit)
    stack[-1].set_xlabel("seconds", fontsize=9)
    return figure


def known_panels(row: Mapping[str, Any]) -> list[tuple[str, list[Line]]]:
    """(unit, lines) of what the machine told of itself."""
    times = series(row, "thermal.timeline.time_s")
    panels = []
    for unit, columns in _PANELS:
        lines = []
        for key, name in columns.items():
            pairs = zip(times, series(row, f"thermal.timeline.{key}"), strict=False)
            known = [(at, value) for at, value in pairs if at is not None and value is not None]
            if known:
                lines.append(Line(name, [at for at, _ in known], [value for _, value in known]))
        if lines:
            panels.append((unit, lines))
    return panels


def _draw_latency(axes: Axes, row: Mapping[str, Any]) -> None:
    times = np.array(row["samples_us"]["at"], float) / 1e6
    values = latencies_ms(row)
    colour = BOARDS[0].light
    if len(values) <= POINTS:
        axes.plot(times, values, ".", color=colour, markersize=4)
    else:
        stretches = np.array_split(np.arange(len(values)), POINTS)
        at = [times[each].mean() for each in stretches]
        low, middle, high = (
            [of(values[each]) for each in stretches] for of in (np.min, np.median, np.max)
        )
        axes.fill_between(at, low, high, color=colour, alpha=0.3, lw=0)
        axes.plot(at, middle, color=colour, lw=1.2)
    axes.set_ylim(0, 1.1 * values.max())
    _finish(axes, "ms")


def _finish(axes: Axes, unit: str) -> None:
    axes.set_ylabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(True)
