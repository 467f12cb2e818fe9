"""Short names that tell the rows of a report apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from edge_passd.report.values import text

LONGEST = 60  # characters of a name beside a mark

_LONGEST_PART = 20


def board_name(row: Mapping[str, Any]) -> str:
    """The maker's name of the board, or that of its processor."""
    return text(row, "board.model") or text(row, "board.cpu") or "unknown machine"


def host_name(row: Mapping[str, Any]) -> str:
    """Where `bench --remote` measured it."""
    return text(row, "remote") or "here"


def threads_name(row: Mapping[str, Any]) -> str:
    """As in "2 threads"."""
    threads = row["threads"]
    if threads is None:
        return "default threads"
    return f"{threads} thread{'' if threads == 1 else 's'}"


def labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """File and engine of each measured row, and as much more as it takes to tell it apart."""
    names: list[tuple[str, ...]] = [
        (shortened(row["file"], 24), shortened(row["engine"], 14)) for row in rows
    ]
    for part in (threads_name, board_name, host_name, lambda row: row["precision"]):
        parts = [_cut(part(row)) for row in rows]
        kinds: dict[tuple[str, ...], set[str]] = {}
        for name, each in zip(names, parts, strict=True):
            kinds.setdefault(name, set()).add(each)
        names = [
            (*name, each) if len(kinds[name]) > 1 else name
            for name, each in zip(names, parts, strict=True)
        ]
    count, seen = Counter(names), Counter[tuple[str, ...]]()
    for position, name in enumerate(names):
        seen[name] += 1
        if count[name] > 1:
            names[position] = (*name, f"{seen[name]} of {count[name]}")
    return [f"{file} ({', '.join(rest)})" for file, *rest in names]


def shortened(name: str, longest: int = LONGEST) -> str:
    """Of a long name the beginning and the end, where names differ."""
    if len(name) <= longest:
        return name
    end = (longest - 1) // 2
    return f"{name[: longest - 1 - end]}…{name[-end:]}"


def _cut(name: str) -> str:
    """Boards differ at the beginning of their names."""
    return name if len(name) <= _LONGEST_PART else f"{name[: _LONGEST_PART - 1].rstrip()}…"
