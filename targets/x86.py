"""Target x86: PCs and x86 boards. Its presets, and which arithmetic each of them has."""

from __future__ import annotations

from collections.abc import Set

from edge_passd.errors import BadInput
from targets.board import Board
from targets.isa.avx2 import Avx2Float, Avx2Int8, AvxVnni
from targets.isa.avx512 import Avx512Float, Avx512Vnni

MACHINE = "x86_64"
DEFAULT = "x86-64-v3"  # every PC since about 2015

_V3 = ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_V4 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

BOARDS = {
    board.name: board
    for board in (
        Board(
            "x86-64-v3", "any PC with AVX2", "x86", MACHINE, "x86_64-linux-gnu",
            "x86-64-v3", (), _V3, {"int8": Avx2Int8, "fp32": Avx2Float}, 4, "x86-64-v3",
        ),
        Board(
            "x86-64-v3-avxvnni", "a PC with AVX-VNNI (Intel since Alder Lake)", "x86", MACHINE,
            "x86_64-linux-gnu", "x86-64-v3", ("+avxvnni",), (*_V3, "avx_vnni"),
            {"int8": AvxVnni, "fp32": Avx2Float}, 4, "x86-64-v3",
        ),
        Board(
            "x86-64-v4-vnni", "a PC with AVX-512 and its int8 extension", "x86", MACHINE,
            # Left to itself LLVM keeps to 256 bits here.
            "x86_64-linux-gnu", "x86-64-v4", ("+avx512vnni", "-prefer-256-bit"),
            (*_V3, *_V4, "avx512_vnni"), {"int8": Avx512Vnni, "fp32": Avx512Float}, 4, "x86-64-v4",
        ),
    )
}  # fmt: skip


def native(features: Set[str]) -> Board:
    """The best preset for a processor with these features, as /proc/cpuinfo names them."""
    for board in reversed(BOARDS.values()):
        if features >= {*board.features}:
            return board
    raise BadInput(
        "this processor lacks AVX2, which every x86 preset needs; run the model with onnxruntime"
    )
