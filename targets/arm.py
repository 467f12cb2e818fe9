"""Target arm: 64-bit ARM boards. Their presets, and which arithmetic each of them has."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from targets.board import Board
from targets.isa.arithmetic import Arithmetic
from targets.isa.neon import NeonDot, NeonFloat, NeonMatrix, NeonPairs

MACHINE = "aarch64"
DEFAULT = "aarch64"


@dataclass(frozen=True)
class Level:
    """What a processor can multiply bytes by. attributes: LLVM's. features: of /proc/cpuinfo.

    tiles: the processor whose tile sizes it takes.
    """

    arithmetic: type[Arithmetic]
    attributes: tuple[str, ...]
    features: tuple[str, ...]
    tiles: str


PLAIN = Level(NeonPairs, ("+neon",), ("asimd",), "cortex-a72")
DOT = Level(NeonDot, ("+neon", "+dotprod"), ("asimd", "asimddp"), "cortex-a76")
MATRIX = Level(
    NeonMatrix, ("+neon", "+dotprod", "+i8mm"), ("asimd", "asimddp", "i8mm"), "aarch64-i8mm"
)


def _board(name: str, says: str, cpu: str, level: Level, cores: int) -> Board:
    return Board(
        name, says, "arm", MACHINE, "aarch64-linux-gnu", cpu, level.attributes, level.features,
        {"int8": level.arithmetic, "fp32": NeonFloat}, cores, level.tiles,
    )  # fmt: skip


BOARDS = {
    board.name: board
    for board in (
        _board("aarch64", "any 64-bit ARM board", "generic", PLAIN, 4),
        _board("aarch64-dotprod", "any 64-bit ARM board with dot products", "generic", DOT, 4),
        _board(
            "aarch64-i8mm",
            "any 64-bit ARM board with i8mm (Cortex-A710 and later)",
            "generic",
            MATRIX,
            4,
        ),
        _board("raspberry-pi-4", "Cortex-A72", "cortex-a72", PLAIN, 4),
        _board("raspberry-pi-5", "Cortex-A76", "cortex-a76", DOT, 4),
        _board("jetson-nano", "Cortex-A57 (its CPU; JetPack 4)", "cortex-a57", PLAIN, 4),
        # Carmel is ARM v8.2 without the optional dot products.
        _board("jetson-xavier-nx", "Carmel (its CPU; JetPack 5)", "carmel", PLAIN, 6),
        _board("jetson-orin-nano", "Cortex-A78AE (its CPU)", "cortex-a78ae", DOT, 6),
        _board("jetson-agx-orin", "Cortex-A78AE (its CPU)", "cortex-a78ae", DOT, 12),
    )
}


def native(features: Set[str]) -> Board:
    """The best generic preset for a processor with these features, as /proc/cpuinfo names them."""
    better = ("aarch64-i8mm", "aarch64-dotprod")
    fitting = (name for name in better if features >= {*BOARDS[name].features})
    return BOARDS[next(fitting, DEFAULT)]
