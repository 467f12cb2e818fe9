"""A tile of a matrix product, pixels by outputs, with the reduction by way of shared memory.

A piece of the reduction is some bytes of each of a tile's pixels and outputs. The outputs' weights,
and pixels that come from memory, are copied some pieces ahead of their use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import ROW_BYTES, Arithmetic
from targets.gpu.kernel import (
    Block,
    blocks_for,
    chosen,
    do,
    quotient,
    registers,
    remainder,
    where,
)
from targets.gpu.operators.core import Tile, core_of
from targets.gpu.operators.epilogue import QUAD, Epilogue, epilogue_constants, merged
from targets.gpu.steps import Member
from targets.graph import Convolution
from targets.operators.emit import Index, bind, constant

COPY = 16  # bytes
SPARE = 4  # words behind each row in shared memory, so that eight rows meet eight banks


@dataclass(frozen=True)
class Gemm:
    """The sizes of a product. depth: bytes of a piece of the reduction, of which there are `pieces`
    and `channel_pieces` for each tap. outputs: padded. column_blocks: tiles side by side."""

    tile: Tile
    depth: int
    pieces: int
    channel_pieces: int
    outputs: int
    column_blocks: int

    @property
    def pitch(self) -> int:
        """Words from one row of a piece to the next, in shared memory."""
        return self.depth // 4 + SPARE

    @property
    def sums_pitch(self) -> int:
        return self.tile.columns + SPARE

    def words(self, copied_rows: int) -> int:
        """Of shared memory: for all stages, or the sums. copied_rows: pixels and outputs."""
        return max(
            self.tile.stages * copied_rows * self.pitch, self.tile.rows * self.sums_pitch
        )  # fmt: skip


def gemm_of(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> Gemm:
    row = arithmetic.pitch(layer.input.channels) * arithmetic.item
    depth = next(n for n in (4, 2, 1) if n * ROW_BYTES <= tile.depth and row % (n * ROW_BYTES) == 0)
    depth *= ROW_BYTES
    outputs = arithmetic.pitch(layer.output.channels)
    return Gemm(
        tile, depth, row // depth * layer.kernel**2, row // depth, outputs,
        blocks_for(outputs, tile.columns),
    )  # fmt: skip


def constants_of(
    layer: Convolution, arithmetic: Arithmetic, gemm: Gemm, suffix: str = ""
) -> dict[str, np.ndarray]:
    """weights: (blocks of outputs, pieces, outputs of a block, elements of a piece); bias and
    multipliers, padded to whole blocks."""
    outputs = gemm.column_blocks * gemm.tile.columns
    count, channels, kernel, _ = layer.weights.shape
    ordered = np.zeros((outputs, kernel, kernel, arithmetic.pitch(channels)), arithmetic.stored)
    ordered[:count, :, :, :channels] = layer.weights.transpose(0, 2, 3, 1)
    tiled = ordered.reshape(
        gemm.column_blocks, gemm.tile.columns, gemm.pieces, gemm.depth // arithmetic.item
    )
    sums = layer.weights.sum((1, 2, 3), layer.bias.dtype)
    return {
        f"weights{suffix}": tiled.transpose(0, 2, 1, 3),
        **epilogue_constants(layer, sums, arithmetic, outputs, suffix),
    }


class Members:
    """Convolutions of one shape, of which a block of threads computes one: number `choice`.

    suffixes: of the names of each one's constants, within those of `step`.
    """

    def __init__(
        self, block: Block, step: str, members: tuple[Member, ...], choice: Index,
        suffixes: Sequence[str],
    ) -> None:  # fmt: skip
        self.block, self.step, self.members, self.choice = block, step, members, choice
        self.layers = [each.convolution for each in members]
        self.suffixes = suffixes
        self.width = bind(self.of(lambda layer: layer.output.width))
        self.pixels = bind(self.of(pixels_of))

    def of(self, value: Callable[[Convolution], int]) -> Expr:
        """What the chosen one has of something."""
        return chosen([value(layer) for layer in self.layers], self.choice)

    def constants_at(self, name: str) -> Expr:
        """Where the chosen one's array begins, bytes."""
        return self.block.constants_at(
            self.step, [name + suffix for suffix in self.suffixes], self.choice
        )


def pixels_of(layer: Convolution) -> int:
    return layer.output.height * layer.output.width


class Pixels(Protocol):
    """The left matrix: a tile's pixels in shared memory."""

    copied: int
    """Rows of a stage that they take."""

    pitch: int
    """Words from one to the next."""

    def copy(self, piece: Expr, to: Expr) -> None:
        """Have a piece copied into a stage that begins at word `to`; nothing if they are there."""

    def at(self, piece: Expr, stage: Expr) -> Expr:
        """The word where a piece of the first one lies, when it is in that stage."""


class Product:
    """Tiles of one block of threads. memory: int32 words; stages: where copies and sums go in it.

    first_pixel: of the tile's rows.
    """

    def __init__(
        self, members: Members, gemm: Gemm, family: str, memory: Expr, stages: int,
        pixels: Pixels, first_pixel: Expr,
    ) -> None:  # fmt: skip
        self.members, self.block, self.gemm, self.tile = members, members.block, gemm, gemm.tile
        self.memory, self.pixels, self.first_pixel = memory, pixels, first_pixel
        self.origin, self.stage = stages, (pixels.copied + self.tile.columns) * gemm.pitch
        self.core = core_of(self.tile, self.block.arithmetic, family, self.block.thread)
        self.weights = bind(members.constants_at("weights"))
        outputs = [each.output for each in members.members]
        self.output = bind(self.block.bytes_at(outputs, members.choice))

    def emit(self, column_tile: Expr) -> None:
        """Compute one tile of outputs and write it. All threads have passed a barrier since the
        stages were last read."""
        count, pieces = self.tile.stages, self.gemm.pieces
        ahead = count - 1
        self.core.start()
        for piece in range(ahead):
            if piece < pieces:
                self._copy(column_tile, constant(piece), constant(self.origin + piece * self.stage))
            do("copies_commit")
        with T.serial(pieces) as piece:
            do(f"copies_wait<{ahead - 1}>")
            do("barrier")
            later = bind(piece + ahead)
            with T.If(later < pieces), T.Then():
                self._copy(column_tile, later, bind(self._stage(later)))
            do("copies_commit")
            start = bind(self._stage(piece))
            a = bind(self.pixels.at(piece, start))
            b = bind(start + self.pixels.copied * self.gemm.pitch)
            for part in range(self.gemm.depth // ROW_BYTES):
                step = part * (ROW_BYTES // 4)
                self.core.step(self.memory, a + step, self.pixels.pitch, b + step, self.gemm.pitch)
        do("barrier")
        self._finish(column_tile)

    def _stage(self, piece: Expr) -> Expr:
        return remainder(piece, self.tile.stages) * self.stage + self.origin

    def _copy(self, column_tile: Expr, piece: Expr, to: Expr) -> None:
        """A piece of the reduction into the stage that begins at word `to`."""
        self.pixels.copy(piece, to)
        gemm, per_row = self.gemm, self.gemm.depth // COPY
        size = self.tile.columns * gemm.depth
        first = bind(self.weights + (column_tile * gemm.pieces + piece) * size)
        copies = self.tile.columns * per_row
        with T.unroll(blocks_for(copies, self.tile.threads)) as i:
            index = bind(self.block.thread + i * self.tile.threads)
            row, part = bind(quotient(index, per_row)), bind(remainder(index, per_row))
            word = to + (self.pixels.copied + row) * gemm.pitch + part * 4
            weights = T.address_of(self.block.constants()[first + index * COPY])
            with where(spare(copies, self.tile, index)):
                do("copy16", T.address_of(self.memory[word]), weights, 1, 0)

    def _finish(self, column_tile: Expr) -> None:
        """Sums by way of shared memory to the output, so that neighbours write neighbours."""
        block, tile, gemm = self.block, self.tile, self.gemm
        arithmetic, members = block.arithmetic, self.members
        sums = T.decl_buffer(
            (self.origin + tile.rows * gemm.sums_pitch,), arithmetic.accumulator,
            data=self.memory.data, scope="shared",
        )  # fmt: skip
        self.core.store(sums, self.origin, gemm.sums_pitch)
        do("barrier")
        per_row = tile.columns // QUAD
        epilogue = Epilogue(
            block, members.step, members.layers, members.choice, members.suffixes
        )  # fmt: skip
        with T.serial(tile.rows * per_row // tile.threads) as i:
            index = bind(block.thread + i * tile.threads)
            row, quad = bind(quotient(index, per_row)), bind(remainder(index, per_row))
            pixel = bind(self.first_pixel + row)
            channel = bind(column_tile * tile.columns + quad * QUAD)
            with T.If(T.And(pixel < members.pixels, channel < gemm.outputs)), T.Then():
                values = registers(QUAD, arithmetic.accumulator)
                kind = "words" if arithmetic.integers else "f32"
                at = self.origin + row * gemm.sums_pitch + quad * QUAD
                do(f"read4_{kind}", T.address_of(sums[at]), T.address_of(values[0]))
                to = self.output + (pixel * gemm.outputs + channel) * arithmetic.item
                merge = members.members[0].merge
                epilogue(
                    values, 0, channel, T.address_of(block.workspace()[to]),
                    (lambda results: self._merge(pixel, channel, results)) if merge else None,
                )  # fmt: skip

    def _merge(self, pixel: Expr, channel: Expr, results: Expr) -> None:
        merge, width = self.members.members[0].merge, self.members.width
        assert merge is not None
        row, column = quotient(quotient(pixel, width), 2), quotient(remainder(pixel, width), 2)
        at = (row * merge.top.width + column) * self.gemm.outputs + channel
        byte = self.block.bytes_at(merge.top) + at * self.block.arithmetic.item
        merged(self.block, merge, T.address_of(self.block.workspace()[byte]), results)


def spare(copies: int, tile: Tile, index: Expr) -> Expr | None:
    """The condition on a thread's copy where there are not enough for all threads."""
    return index < copies if copies % tile.threads else None
