"""Plots with a strip for each row: speed alone, stages, and how latency is distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edge_passd.bench.latency import STAGES
from edge_passd.report.axis import log_axis, name_rows
from edge_passd.report.comparison import Section
from edge_passd.report.figure import WIDE, new_figure
from edge_passd.report.formats import milliseconds
from edge_passd.report.labels import shortened
from edge_passd.report.style import (
    INFER,
    INK,
    PAPER,
    POST,
    PRE,
    board_colour,
    marker,
)

BINS = 60  # of the widest distribution, in equal steps of the logarithm

_STAGE_COLOURS = dict(zip(STAGES, (PRE, INFER, POST), strict=True))
_STAGE_NAMES = {"pre": "pre-processing", "infer": "inference", "post": "post-processing"}


def latencies_ms(row: Mapping[str, Any]) -> np.ndarray:
    """(K,) of all photos, in the order in which they were measured; more than 0."""
    total = np.sum([np.array(row["samples_us"][stage], float) for stage in STAGES], axis=0)
    return np.maximum(total, 1.0) / 1000  # a clock may tick in whole microseconds


def speed(section: Section, width: float) -> Figure:
    """p50 with bars from p10 to p90, hollow: their accuracy is unknown."""
    figure, axes = _new_strips(section, width)
    latency = [entry.row["latency_ms"] for entry in section.entries]
    log_axis(axes, [each[key] for each in latency for key in ("p10", "p90")], width)
    for y, (entry, each) in enumerate(zip(section.entries, latency, strict=True)):
        colour = board_colour(entry.board_number).light
        axes.plot([each["p10"], each["p90"]], [y, y], color=colour, lw=3, alpha=0.4)
        axes.plot(
            each["p50"], y, marker(entry.row["precision"]),
            color=colour, markersize=9, markeredgewidth=1.6, markeredgecolor=colour,
            markerfacecolor=PAPER.light if entry.hollow else colour,
        )  # fmt: skip
    axes.set_xlabel("p50 latency, ms; bars from p10 to p90")
    return figure


def stages(section: Section, width: float) -> Figure:
    """Medians of the three stages, one behind the other."""
    figure, axes = _new_strips(section, width)
    left = np.zeros(len(section.entries))
    rows = np.arange(len(section.entries))
    for stage, colour in _STAGE_COLOURS.items():
        values = np.array([entry.row["stages_ms"][stage] for entry in section.entries])
        axes.barh(
            rows, values, 0.5, left, color=colour.light, label=_STAGE_NAMES[stage],
            edgecolor=PAPER.light, linewidth=0.8,
        )  # fmt: skip
        left += values
    for y, total in enumerate(left):
        axes.annotate(
            milliseconds(total) if total else "0", (total, y), (4, 0), va="center",
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
    axes.set_xlim(0, 1.15 * max(left.max(), 1e-3))
    axes.set_xlabel("median, ms")
    figure.legend(loc="outside upper left", ncols=3, fontsize=9, columnspacing=1.2, handlelength=1)
    return figure


def distributions(section: Section, width: float) -> Figure:
    """For each row how many photos took how long, each as high as its most frequent time."""
    figure, axes = _new_strips(section, width)
    samples = [latencies_ms(entry.row) for entry in section.entries]
    low, high = min(each.min() for each in samples), max(each.max() for each in samples)
    edges = np.geomspace(low * 0.999, max(high, 1.05 * low) * 1.001, BINS + 1)
    log_axis(axes, [low, high], width)
    for y, (entry, values) in enumerate(zip(section.entries, samples, strict=True)):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        height = 0.55 * counts / counts.max()
        colour = board_colour(entry.board_number).light
        base = y + 0.3
        axes.stairs(base - height, edges, baseline=base, fill=True, color=colour, alpha=0.55, lw=0)
        axes.plot([edges[0], edges[-1]], [base, base], color=colour, lw=0.6)
        median = float(np.median(values))
        axes.plot([median, median], [base - 0.6, base], color=INK.light, lw=1.6)
    axes.set_xlabel("latency of each photo, ms; the stroke is the median")
    return figure


def _new_strips(section: Section, width: float) -> tuple[Figure, Any]:
    step = 0.42 if width >= WIDE else 0.66
    figure, axes = new_figure(width, 1.1 + step * len(section.entries))
    name_rows(axes, [shortened(entry.label) for entry in section.entries], width)
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    return figure, axes
