"""Values of a row that nobody has checked: each as it should be, or None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_passd.bench.row import is_number

# Of any unit that stands in a row; beyond them there is no sense and no plot.
SMALLEST, LARGEST = 1e-9, 1e15


def at(values: Any, path: str) -> Any:
    """What stands under "a.b.c"; None where a part of the path is missing."""
    for key in path.split("."):
        if not isinstance(values, Mapping):
            return None
        values = values.get(key)
    return values


def number(values: Any, path: str) -> float | None:
    """A finite number of a size that makes sense."""
    return sensible(at(values, path))


def text(values: Any, path: str) -> str | None:
    """A string with something in it."""
    value = at(values, path)
    return value if isinstance(value, str) and value else None


def series(values: Any, path: str) -> list[float | None]:
    """A list of numbers; None for each that is none, and an empty list for what is no list."""
    value = at(values, path)
    return [sensible(each) for each in value] if isinstance(value, list) else []


def sensible(value: Any) -> float | None:
    """The number, if it is one that makes sense."""
    return float(value) if is_number(value) and abs(value) <= LARGEST else None


def legible(value: Any) -> Any:
    """The same JSON with strings that fit a line: what is not printable becomes a question mark."""
    if isinstance(value, str):
        return "".join(each if each.isprintable() else "?" for each in value)
    if isinstance(value, list):
        return [legible(each) for each in value]
    if isinstance(value, dict):
        return {legible(key): legible(each) for key, each in value.items()}
    return value
