"""The sentence on top of a report, made from its rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_passd.bench.accuracy import ap_difference
from edge_passd.bench.statistics import Interval
from edge_passd.report.comparison import Comparison, Entry, Section
from edge_passd.report.formats import milliseconds, percent, points
from edge_passd.report.labels import shortened

_MANY = 4  # names that the sentence lists


def verdict(comparison: Comparison) -> str:
    """Who is fastest, who is best and who is on the Pareto line; a sentence for each data set."""
    if not comparison.sections:
        count = len(comparison.failures)
        return f"Nothing could be measured: {count} artefact{'s' if count > 1 else ''} failed."
    sentences = [section_verdict(section) for section in comparison.sections]
    if comparison.data_sets > 1:
        sentences.append(
            f"The {comparison.data_sets} data sets stand apart: AP on one says nothing of another."
        )
    return " ".join(sentences)


def section_verdict(section: Section) -> str:
    """The sentence of one section."""
    ranked = section.ranked
    if section.data is None:
        if not ranked:
            return f"Without accuracy nothing is ranked: {section.entries[0].unranked}."
        return f"Without accuracy, {ranked[0].label} is fastest, {_ms(ranked[0])}."
    where = f"{shortened(section.data)} ({section.images} images)"
    if not ranked:
        return f"On {where} nothing is ranked: {section.entries[0].unranked}."
    fastest = ranked[0]
    best = max(ranked, key=lambda entry: (entry.ap or 0, -entry.p50))
    if len(ranked) == 1:
        return f"On {where} {fastest.label} takes {_ms(fastest)} with AP {_percent(fastest)}."
    if best is fastest:
        lead = f"fastest and best is {best.label}, {_ms(best)}, AP {_percent(best)}"
    else:
        lead = (
            f"fastest is {fastest.label}, {_ms(fastest)}, AP {_percent(fastest)}; best AP has "
            f"{best.label}, {_percent(best)} in {_ms(best)}{_lead_in_ap(best, fastest)}"
        )
    return f"On {where} {lead}; on the Pareto line: {_names(section.line)}."


def _lead_in_ap(best: Entry, fastest: Entry) -> str:
    difference = paired_difference(best, fastest)
    if difference is None:
        return ""
    value, low, high = map(points, difference)
    doubt = ", so the two may be equal" if difference.low <= 0 <= difference.high else ""
    return f" ({value} points, 95% interval {low} to {high}{doubt})"


def paired_difference(ours: Entry, theirs: Entry) -> Interval | None:
    """Of two APs on one data set; None where no draw of photos has objects for both."""
    pairs = zip(
        ours.row["accuracy"]["AP_replicates"],
        theirs.row["accuracy"]["AP_replicates"],
        strict=True,
    )
    if all(None in pair for pair in pairs):
        return None
    difference = ap_difference(ours.row["accuracy"], theirs.row["accuracy"])
    return difference if np.isfinite(difference).all() else None


def _names(entries: Sequence[Entry]) -> str:
    names = [entry.label for entry in entries]
    if len(names) > _MANY:
        return f"{', '.join(names[:_MANY])} and {len(names) - _MANY} more"
    return ", ".join(names)


def _ms(entry: Entry) -> str:
    return f"{milliseconds(entry.p50)} ms"


def _percent(entry: Entry) -> str:
    return percent(entry.ap or 0)
