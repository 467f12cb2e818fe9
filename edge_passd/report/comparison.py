"""Rows sorted into what may be compared: one section for each data set, ranked within."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_passd.bench.row import OK
from edge_passd.parity import FAILED_GATE
from edge_passd.report.labels import board_name, labels
from edge_passd.report.rank import pareto

MIN_IMAGES = 100  # below it the interval of an AP is some 20 points wide


@dataclass(frozen=True)
class Entry:
    """One measured row.

    number: on the page, from 1. label: tells it apart in its section. ap: 0-1, None if unknown.
    board_number: from 0, in the whole report.
    rank: by p50 among those of the section that are ranked, from 1; None for the others, and
    `unranked` says why. on_line: on the Pareto line of AP over p50.
    """

    number: int
    label: str
    board: str
    board_number: int
    row: Mapping[str, Any]
    ap: float | None
    rank: int | None
    unranked: str
    on_line: bool

    @property
    def p50(self) -> float:
        """Milliseconds."""
        return self.row["latency_ms"]["p50"]

    @property
    def throttled(self) -> bool:
        """Whether the board is known to have slowed itself down."""
        return self.row["thermal"]["throttled"] == "yes"

    @property
    def hollow(self) -> bool:
        """Whether its mark says: do not build on this one."""
        return self.throttled or self.ap is None or self.rank is None


@dataclass(frozen=True)
class Section:
    """Rows that may be compared, by rising p50.

    data: of whose photos, None for speed without accuracy. sha256: of the data set.
    """

    data: str | None
    sha256: str | None
    images: int
    entries: tuple[Entry, ...]

    @property
    def ranked(self) -> list[Entry]:
        """Those that have a rank."""
        return [entry for entry in self.entries if entry.rank is not None]

    @property
    def line(self) -> list[Entry]:
        """Those on the Pareto line."""
        return [entry for entry in self.entries if entry.on_line]


@dataclass(frozen=True)
class Comparison:
    """failures: the rows of what could not be measured. min_images: for a rank."""

    sections: tuple[Section, ...]
    failures: tuple[Mapping[str, Any], ...]
    min_images: int

    @property
    def entries(self) -> list[Entry]:
        """Of all sections."""
        return [entry for section in self.sections for entry in section.entries]

    @property
    def data_sets(self) -> int:
        """How many different ones there are."""
        return sum(section.data is not None for section in self.sections)


def compare(rows: Sequence[Mapping[str, Any]], min_images: int = MIN_IMAGES) -> Comparison:
    """Sections by data set, the one with the most rows first, speed without accuracy last."""
    measured = sorted((row for row in rows if row["status"] == OK), key=_order)
    failures = sorted(
        (row for row in rows if row["status"] != OK),
        key=lambda row: (row["file"], row["engine"], row["reason"]),
    )
    groups: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in measured:
        groups.setdefault(_data_sha256(row), []).append(row)
    order = sorted(groups, key=lambda sha: (sha is None, -len(groups[sha]), _data(groups[sha])))
    boards = sorted({board_name(row) for row in measured})
    sections: list[Section] = []
    for sha256 in order:
        first = 1 + sum(len(section.entries) for section in sections)
        sections.append(_section(sha256, groups[sha256], first, boards, min_images))
    return Comparison(tuple(sections), tuple(failures), min_images)


def _section(
    sha256: str | None,
    group: Sequence[Mapping[str, Any]],
    first: int,
    boards: Sequence[str],
    min_images: int,
) -> Section:
    reasons = [_unranked(row, min_images) for row in group]
    candidates = [position for position, why in enumerate(reasons) if not why]
    ranks = {position: rank for rank, position in enumerate(candidates, 1)}
    line = set[int]()
    if sha256 is not None:
        points = [
            (group[position]["latency_ms"]["p50"], group[position]["accuracy"]["AP"])
            for position in candidates
        ]
        chosen = zip(candidates, pareto(points), strict=True)
        line = {position for position, is_on_line in chosen if is_on_line}
    entries = tuple(
        Entry(
            number=first + position,
            label=label,
            board=board_name(row),
            board_number=boards.index(board_name(row)),
            row=row,
            ap=_ap(row),
            rank=ranks.get(position),
            unranked=reasons[position],
            on_line=position in line,
        )
        for position, (row, label) in enumerate(zip(group, labels(group), strict=True))
    )
    accuracy = group[0]["accuracy"] if sha256 is not None else None
    if accuracy is None:
        return Section(None, None, 0, entries)
    return Section(accuracy["data"], sha256, accuracy["images"], entries)


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """By p50; what is equal in it in an order that does not depend on that of the files."""
    keys = ("file", "engine", "precision", "created")
    return (row["latency_ms"]["p50"], *(row[key] for key in keys), row["threads"] or 0)


def _data_sha256(row: Mapping[str, Any]) -> str | None:
    return None if _ap(row) is None else row["accuracy"]["data_sha256"]


def _data(group: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The name of a group's data set, and what tells it from another of that name."""
    found = group[0]["accuracy"]
    return (found["data"], found["data_sha256"]) if found is not None else ("", "")


def _ap(row: Mapping[str, Any]) -> float | None:
    """-1 is COCO's word for: there was nothing to find."""
    found = row["accuracy"]
    return found["AP"] if found is not None and found["AP"] >= 0 else None


def _unranked(row: Mapping[str, Any], min_images: int) -> str:
    if row["saturates"]:
        return "its int8 sums saturate on that processor, so its boxes are wrong"
    if FAILED_GATE in row["file"]:
        return "the file failed the parity gate of its export"
    if _ap(row) is None or row["accuracy"]["images"] >= min_images:
        return ""
    images = row["accuracy"]["images"]
    return f"accuracy on {images} images only; a rank takes {min_images}"
