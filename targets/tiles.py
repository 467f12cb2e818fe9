"""Tile sizes: how much of an operator is done at once. Data for each CPU, found by scripts/tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from targets.graph import Convolution


@dataclass(frozen=True)
class Tile:
    """rows: pixels by vectors of outputs in the micro-kernel. chunks: pieces that threads share.

    by_output: the pieces are blocks of outputs instead of rows of pixels.
    """

    rows: int
    vectors: int
    chunks: int = 24
    by_output: bool = False


@dataclass(frozen=True)
class Tiles:
    """Of one CPU and precision: `best` by shape, else one of the defaults.

    narrow: for fewer vectors of outputs than `wide.vectors`. depthwise: pixels at once.
    """

    wide: Tile
    narrow: Tile
    depthwise: int
    lanes: int
    best: Mapping[str, Tile] = field(default_factory=dict)

    def of(self, layer: Convolution) -> Tile:
        if layer.depthwise:
            return Tile(self.depthwise, 1)
        if found := self.best.get(shape_of(layer)):
            return found
        pixels = layer.output.height * layer.output.width
        narrow = layer.output.channels <= self.lanes * (self.wide.vectors - 1)
        tile = self.narrow if narrow else self.wide
        few = pixels <= 8 * tile.rows
        return Tile(tile.rows, tile.vectors, tile.chunks, few)


def shape_of(layer: Convolution) -> str:
    """What a tile depends on, as a key."""
    height, width = layer.output.height, layer.output.width
    outputs, channels = layer.weights.shape[:2]
    return f"{height}x{width} k{layer.kernel} s{layer.stride} {channels}-{outputs}"
