"""Target arm: 64-bit ARM boards. Their presets, and which arithmetic each of them has."""

from __future__ import annotations

from collections.abc import Set

from targets.board import Board
from targets.isa.neon import NeonDot, NeonFloat, NeonPairs

MACHINE = "aarch64"
DEFAULT = "aarch64"

_PLAIN = {"int8": NeonPairs, "fp32": NeonFloat}
_DOT = {"int8": NeonDot, "fp32": NeonFloat}


def _board(name: str, says: str, cpu: str, dot: bool, cores: int) -> Board:
    """dot: with the dot-product extension, which /proc/cpuinfo calls asimddp."""
    return Board(
        name, says, "arm", MACHINE, "aarch64-linux-gnu", cpu,
        ("+neon", "+dotprod") if dot else ("+neon",),
        ("asimd", "asimddp") if dot else ("asimd",),
        _DOT if dot else _PLAIN, cores, "cortex-a76" if dot else "cortex-a72",
    )  # fmt: skip


BOARDS = {
    board.name: board
    for board in (
        _board("aarch64", "any 64-bit ARM board", "generic", False, 4),
        _board("aarch64-dotprod", "any 64-bit ARM board with dot products", "generic", True, 4),
        _board("raspberry-pi-4", "Cortex-A72", "cortex-a72", False, 4),
        _board("raspberry-pi-5", "Cortex-A76", "cortex-a76", True, 4),
        _board("jetson-nano", "Cortex-A57 (its CPU; JetPack 4)", "cortex-a57", False, 4),
        # Carmel is ARM v8.2 without the optional dot products.
        _board("jetson-xavier-nx", "Carmel (its CPU; JetPack 5)", "carmel", False, 6),
        _board("jetson-orin-nano", "Cortex-A78AE (its CPU)", "cortex-a78ae", True, 6),
        _board("jetson-agx-orin", "Cortex-A78AE (its CPU)", "cortex-a78ae", True, 12),
    )
}


def native(features: Set[str]) -> Board:
    """The best generic preset for a processor with these features, as /proc/cpuinfo names them."""
    return BOARDS["aarch64-dotprod" if "asimddp" in features else "aarch64"]
