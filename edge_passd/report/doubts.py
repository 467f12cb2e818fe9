"""What makes rows doubtful, or not comparable with each other, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_passd.bench.table import BUSY
from edge_passd.report.comparison import Entry, Section
from edge_passd.report.labels import shortened, threads_name
from edge_passd.report.values import at, number

DRIFTED = 0.05  # of the latency, from the first quarter to the last

_MANY = 5  # names that a sentence lists


@dataclass(frozen=True)
class Doubt:
    """word: for a table. words: for a sentence. applies: to a row."""

    word: str
    words: str
    applies: Callable[[Mapping[str, Any]], bool]


def row_doubts(entry: Entry) -> list[str]:
    """Of one row, each a word or a few."""
    doubts = [doubt.word for doubt in _DOUBTS if doubt.applies(entry.row)]
    return [*doubts, entry.unranked] if entry.unranked else doubts


def section_doubts(section: Section) -> list[str]:
    """Sentences about rows of a section that stand beside each other."""
    entries = section.ranked or list(section.entries)
    return [*_differences(entries), *_doubtful(section.entries)]


def _differences(entries: Sequence[Entry]) -> Iterator[str]:
    for what, value in _SAME.items():
        kinds = sorted({value(entry.row) for entry in entries})
        if len(kinds) > 1:
            names = _listed([shortened(kind) for kind in kinds])
            yield f"The rows differ in {what} ({names}): this alone changes latency."


def _doubtful(entries: Sequence[Entry]) -> Iterator[str]:
    for doubt in _DOUBTS:
        found = [entry.label for entry in entries if doubt.applies(entry.row)]
        if found:
            who = "all rows" if len(found) == len(entries) > 1 else _listed(found)
            yield f"{doubt.words[0].upper()}{doubt.words[1:]}: {who}."
    unranked: dict[str, list[str]] = {}
    for entry in entries:
        if entry.unranked:
            unranked.setdefault(entry.unranked, []).append(entry.label)
    for why, names in unranked.items():
        yield f"Not ranked, {why}: {_listed(names)}."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MANY])
    return shown if len(names) <= _MANY else f"{shown} and {len(names) - _MANY} more"


def _is_unstable(row: Mapping[str, Any]) -> bool:
    other = at(row, "against.warm_up.stable")
    return not row["warm_up"]["stable"] or other is False


_SAME: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "threads": threads_name,
    "the photos that were timed": lambda row: row["photos"]["source"],
    "NMS": lambda row: str(at(row, "nms")),
    "the protocol": lambda row: row["protocol"]["rule"],
}
_DOUBTS = (
    Doubt(
        "throttled",
        "the board throttled, so it is slower than it can be",
        lambda row: row["thermal"]["throttled"] == "yes",
    ),
    Doubt(
        "busy",
        f"other programs kept more than {BUSY:g} cores busy, so times may be too high",
        lambda row: (number(row, "others_cores") or 0) > BUSY,
    ),
    Doubt("not stable", "times were not stable yet when measuring began", _is_unstable),
    Doubt(
        "cut short",
        "measuring was cut short by the time limit",
        lambda row: not row["measured"]["complete"],
    ),
    Doubt(
        "drift",
        f"latency moved by more than {DRIFTED:.0%} while it was measured",
        lambda row: abs(number(row, "drift") or 0) > DRIFTED,
    ),
)
