"""A target's presets, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from edge_passd.errors import BadInput

NATIVE = "native"  # stands for this machine's preset

Preset = TypeVar("Preset")


def find_board(boards: Mapping[str, Preset], name: str) -> Preset:
    """Raises BadInput that lists the boards there are."""
    if name not in boards:
        raise BadInput(f"no board {name!r}; there are {', '.join(boards)} and {NATIVE}")
    return boards[name]
