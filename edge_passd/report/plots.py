"""All plots of a report, by section and by row."""

from __future__ import annotations

from functools import partial

from edge_passd.report.comparison import Comparison, Entry, Section
from edge_passd.report.figure import Plot
from edge_passd.report.formats import milliseconds, percent
from edge_passd.report.scatter import ap_over_energy, ap_over_latency, joules
from edge_passd.report.strips import distributions, speed, stages
from edge_passd.report.timeline import known_panels, timeline


def main_plot(comparison: Comparison, section: Section) -> Plot:
    """AP over latency; latency alone where AP is unknown."""
    suffix = _suffix(comparison, section)
    listed = "; ".join(map(_spoken, section.entries))
    if section.data is None:
        return Plot(
            f"latency{suffix}", "Latency", f"p50 of each row. {listed}.", partial(speed, section)
        )
    line = ", ".join(entry.label for entry in section.line) or "nobody"
    return Plot(
        f"ap-over-latency{suffix}",
        f"AP over latency on {section.data}",
        f"{listed}. On the Pareto line: {line}.",
        partial(ap_over_latency, section),
    )


def other_plots(comparison: Comparison, section: Section) -> list[Plot]:
    """Stages, distributions, and AP over energy where a row knows it."""
    suffix = _suffix(comparison, section)
    medians = "; ".join(
        f"{entry.label}: "
        + ", ".join(f"{key} {value:.3g} ms" for key, value in _stage_medians(entry).items())
        for entry in section.entries
    )
    spreads = "; ".join(
        f"{entry.label}: median {milliseconds(entry.p50)}, "
        f"99 of 100 within {milliseconds(entry.row['latency_ms']['p99'])} ms"
        for entry in section.entries
    )
    plots = [
        Plot(f"stages{suffix}", "Where the time goes", f"{medians}.", partial(stages, section)),
        Plot(
            f"distribution{suffix}",
            "How latency is distributed",
            f"{spreads}.",
            partial(distributions, section),
        ),
    ]
    known = [entry for entry in section.entries if joules(entry)]
    if section.data is not None and known:
        listed = "; ".join(
            f"{entry.label}: AP {percent(entry.ap or 0)}, {joules(entry):.3g} J" for entry in known
        )
        plots.append(
            Plot(
                f"ap-over-energy{suffix}",
                f"AP over energy on {section.data}",
                f"{listed}.",
                partial(ap_over_energy, section),
            )
        )
    return plots


def row_plot(entry: Entry) -> Plot:
    """Latency over time, with what is known of heat, clocks and power."""
    units = [unit for unit, _ in known_panels(entry.row)]
    beside = f" with {', '.join(units)} under it" if units else "; heat and clocks are unknown"
    return Plot(
        f"timeline-{entry.number:02}",
        f"{entry.label}: latency over time",
        f"Each photo's latency in the order of measuring{beside}.",
        partial(timeline, entry.row),
    )


def all_plots(comparison: Comparison) -> list[Plot]:
    """For a folder."""
    plots = [
        plot
        for section in comparison.sections
        for plot in (main_plot(comparison, section), *other_plots(comparison, section))
    ]
    return [*plots, *map(row_plot, comparison.entries)]


def _suffix(comparison: Comparison, section: Section) -> str:
    """Tells the files of several sections apart."""
    position = comparison.sections.index(section)
    return f"-{position + 1}" if position else ""


def _spoken(entry: Entry) -> str:
    ap = "" if entry.ap is None else f", AP {percent(entry.ap)}"
    return f"{entry.label}: {milliseconds(entry.p50)} ms{ap}"


def _stage_medians(entry: Entry) -> dict[str, float]:
    return {key: entry.row["stages_ms"][key] for key in ("pre", "infer", "post")}
