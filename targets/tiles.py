"""Tile sizes: how much of an operator is done at once. Data for each CPU, found by scripts/tune."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path

from edge_passd.files import write_text
from targets.board import Board
from targets.graph import Convolution
from targets.isa.arithmetic import Arithmetic

FOLDER = Path(__file__).parent / "tiles"


@dataclass(frozen=True)
class Tile:
    """rows: pixels by vectors of outputs in the micro-kernel. chunks: pieces that threads share.

    by_output: the pieces are blocks of outputs instead of rows of pixels. winograd: by
    `operators.winograd` instead of directly, where that fits.
    """

    rows: int
    vectors: int
    chunks: int = 24
    by_output: bool = False
    winograd: bool = False


FEW = 8  # tiles of pixels, with which threads share the outputs instead
WIDE = 64  # channels in and out, from which on Winograd's transforms pay


@dataclass(frozen=True)
class Tiles:
    """Of one processor and precision. best: by `shape_of`; other shapes get a sane default."""

    arithmetic: Arithmetic
    best: Mapping[str, Tile] = field(default_factory=dict)

    def of(self, layer: Convolution) -> Tile:
        return self.best.get(shape_of(layer)) or self.default(layer)

    def default(self, layer: Convolution) -> Tile:
        """Accumulators that fill the registers, in one row if a vector holds all outputs."""
        if layer.depthwise:
            return Tile(self.arithmetic.pixels, 1)
        rows, vectors = self.arithmetic.tile
        if layer.output.channels <= self.arithmetic.lanes:
            rows, vectors = 2 * rows, 1
        pixels = layer.output.height * layer.output.width
        wide = min(layer.weights.shape[:2]) >= WIDE and self.arithmetic.transformed() is not None
        return Tile(rows, vectors, by_output=pixels <= FEW * rows, winograd=wide)


def tiles_of(board: Board, precision: str) -> Tiles:
    """What scripts/tune found for the board's processor, defaults for the rest."""
    path = path_of(board)
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    best = {shape: Tile(*tile) for shape, tile in found.get(precision, {}).items()}
    return Tiles(board.arithmetic_of(precision), best)


def save_tiles(board: Board, precision: str, best: Mapping[str, Tile]) -> Path:
    """Replace what is kept for the board's processor in that precision, but for other shapes."""
    path = path_of(board)
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = found.get(precision, {})
    found[precision] = {**kept, **{shape: astuple(tile) for shape, tile in best.items()}}
    parts = [
        f"{json.dumps(each)}: {{\n"
        + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(tiles.items()))
        + "\n}"
        for each, tiles in sorted(found.items())
    ]
    write_text(path, "{" + ",\n".join(parts) + "}\n")
    return path


def path_of(board: Board) -> Path:
    """The file of a processor."""
    return FOLDER / f"{board.tiles}.json"


def shape_of(layer: Convolution) -> str:
    """What a tile depends on, as a key; a depthwise convolution has one input for each output."""
    height, width = layer.output.height, layer.output.width
    outputs, channels = layer.weights.shape[:2]
    return f"{height}x{width} k{layer.kernel} s{layer.stride} {channels}-{outputs}"
