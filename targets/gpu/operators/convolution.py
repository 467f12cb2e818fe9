"""1x1 and 3x3 convolutions as implicit GEMM, with the reduction by way of shared memory.

A piece of the reduction is 64 bytes, or 32 where the channels end there, of each of a tile's pixels
and outputs. Pieces are copied some stages ahead of their use. Where a window leaves the map, the
copy writes the stored zero instead, so that no tensor needs a border.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import ROW_BYTES, Arithmetic
from targets.gpu.kernel import (
    Block,
    Kernel,
    Memory,
    blocks_for,
    chosen,
    do,
    kernel,
    quotient,
    registers,
    remainder,
    shared,
    where,
)
from targets.gpu.operators.core import Tile, core_of
from targets.gpu.operators.epilogue import QUAD, Epilogue, epilogue_constants, merged
from targets.gpu.steps import Convolutions
from targets.graph import Convolution
from targets.operators.emit import Index, bind, constant

COPY = 16  # bytes
_SPARE = 4  # words behind each row in shared memory, so that eight rows meet eight banks
_SPARE_SUMS = 4


@dataclass(frozen=True)
class Gemm:
    """The sizes of a step's product. depth: bytes of a piece of the reduction, of `pieces`."""

    tile: Tile
    depth: int
    pieces: int
    channel_pieces: int
    outputs: int
    column_blocks: int


def gemm_of(step: Convolutions, arithmetic: Arithmetic, tile: Tile) -> Gemm:
    layer = step.first
    row = arithmetic.pitch(layer.input.channels) * arithmetic.item
    depth = 2 * ROW_BYTES if row % (2 * ROW_BYTES) == 0 else ROW_BYTES
    outputs = arithmetic.pitch(layer.output.channels)
    return Gemm(
        tile, depth, row // depth * layer.kernel**2, row // depth, outputs,
        blocks_for(outputs, tile.columns),
    )  # fmt: skip


def constants(step: Convolutions, arithmetic: Arithmetic, tile: Tile) -> dict[str, np.ndarray]:
    """weights: (blocks of outputs, pieces, outputs of a block, elements of a piece), for each
    member; bias and multipliers, padded to whole blocks."""
    gemm = gemm_of(step, arithmetic, tile)
    outputs = gemm.column_blocks * tile.columns
    arrays: dict[str, np.ndarray] = {}
    for number, member in enumerate(step.members):
        layer = member.convolution
        count, channels, kernel_size, _ = layer.weights.shape
        ordered = np.zeros(
            (outputs, kernel_size, kernel_size, arithmetic.pitch(channels)), arithmetic.stored
        )
        ordered[:count, :, :, :channels] = layer.weights.transpose(0, 2, 3, 1)
        tiled = ordered.reshape(
            gemm.column_blocks, tile.columns, gemm.pieces, gemm.depth // arithmetic.item
        )
        arrays[f"weights{number}"] = tiled.transpose(0, 2, 1, 3)
        sums = layer.weights.sum((1, 2, 3), layer.bias.dtype)
        arrays |= epilogue_constants(layer, sums, arithmetic, outputs, str(number))
    return arrays


def convolution(step: Convolutions, memory: Memory, tile: Tile, matrix_units: bool) -> Kernel:
    """One block of threads for each tile of each member."""
    gemm = gemm_of(step, memory.arithmetic, tile)
    tiles = [blocks_for(_pixels(each.convolution), tile.rows) for each in step.members]
    ends = np.cumsum(tiles).tolist()

    def body(block: Block) -> None:
        row_tile = bind(quotient(block.number, gemm.column_blocks))
        member: Index = 0
        for i, end in enumerate(ends[:-1]):
            member = tirx.Select(row_tile >= end, constant(i + 1), member)
        member = bind(member) if len(ends) > 1 else 0
        _Product(
            step, block, gemm, matrix_units, member,
            row_tile - chosen([0, *ends[:-1]], member),
            bind(remainder(block.number, gemm.column_blocks)),
        ).emit()  # fmt: skip

    return kernel(step.name, ends[-1] * gemm.column_blocks, tile.threads, memory, body)


def _pixels(layer: Convolution) -> int:
    return layer.output.height * layer.output.width


class _Product:
    """One tile. member: number of the convolution; row_tile, column_tile: which tile of it."""

    def __init__(
        self, step: Convolutions, block: Block, gemm: Gemm, matrix_units: bool, member: Index,
        row_tile: Expr, column_tile: Expr,
    ) -> None:  # fmt: skip
        self.step, self.block, self.gemm, self.tile = step, block, gemm, gemm.tile
        self.member, self.column_tile = member, column_tile
        self.layers = [each.convolution for each in step.members]
        self.first_pixel = bind(row_tile * self.tile.rows)
        self.width = bind(self._of(lambda layer: layer.output.width))
        self.pixels = bind(self._of(_pixels))
        self.pitch = gemm.depth // 4 + _SPARE  # words
        self.stage = (self.tile.rows + self.tile.columns) * self.pitch
        words = max(self.tile.stages * self.stage, self.tile.rows * self._sums_pitch)
        self.memory = shared(words)
        self.core = core_of(self.tile, block.arithmetic, matrix_units, block.thread)

    @property
    def _sums_pitch(self) -> int:
        return self.tile.columns + _SPARE_SUMS

    def _of(self, value: Callable[[Convolution], int]) -> Expr:
        """What the member has of something."""
        return chosen([value(layer) for layer in self.layers], self.member)

    def emit(self) -> None:
        stages, pieces = self.tile.stages, self.gemm.pieces
        ahead = stages - 1
        self._rows()
        self._columns()
        self.core.start()
        for piece in range(ahead):
            if piece < pieces:
                self._copy(constant(piece), constant(piece * self.stage))
            do("copies_commit")
        with T.serial(pieces) as piece:
            do(f"copies_wait<{ahead - 1}>")
            do("barrier")
            later = bind(piece + ahead)
            with T.If(later < pieces), T.Then():
                self._copy(later, bind(remainder(later, stages) * self.stage))
            do("copies_commit")
            start = bind(remainder(piece, stages) * self.stage)
            for part in range(self.gemm.depth // ROW_BYTES):
                at = start + part * (ROW_BYTES // 4)
                self.core.step(self.memory, at, at + self.tile.rows * self.pitch, self.pitch)
        do("barrier")
        self._finish()

    def _rows(self) -> None:
        """What this thread copies of the pixels: for each, where its window begins."""
        per_row = self.gemm.depth // COPY
        self.row_copies = blocks_for(self.tile.rows * per_row, self.tile.threads)
        self.top, self.left = (registers(self.row_copies, "int32") for _ in range(2))
        layer = self.layers[0]
        with T.unroll(self.row_copies) as i:
            index = self.block.thread + i * self.tile.threads
            # Rows behind the last pixel repeat it; nothing is written of them.
            pixel = bind(T.min(self.first_pixel + quotient(index, per_row), self.pixels - 1))
            pad = layer.kernel // 2
            T.buffer_store(self.top, quotient(pixel, self.width) * layer.stride - pad, [i])
            T.buffer_store(self.left, remainder(pixel, self.width) * layer.stride - pad, [i])

    def _columns(self) -> None:
        per_row = self.gemm.depth // COPY
        self.column_copies = blocks_for(self.tile.columns * per_row, self.tile.threads)
        names = [f"weights{i}" for i in range(len(self.layers))]
        self.weights = bind(self.block.constants_at(self.step.name, names, self.member))
        tensors = [layer.input for layer in self.layers]
        self.input = bind(self.block.bytes_at(tensors, self.member))
        self.in_width = bind(self._of(lambda layer: layer.input.width))
        self.in_height = bind(self._of(lambda layer: layer.input.height))
        self.fill = bind(self._of(lambda layer: self.block.arithmetic.fill(layer.input)))

    def _copy(self, piece: Expr, to: Expr) -> None:
        """A piece of the reduction to shared memory, from word `to` on."""
        self._copy_pixels(piece, to)
        gemm, per_row = self.gemm, self.gemm.depth // COPY
        size = self.tile.columns * gemm.depth
        first = bind(self.weights + (self.column_tile * gemm.pieces + piece) * size)
        with T.unroll(self.column_copies) as i:
            index = bind(self.block.thread + i * self.tile.threads)
            row, part = bind(quotient(index, per_row)), bind(remainder(index, per_row))
            word = to + (self.tile.rows + row) * self.pitch + part * 4
            weights = T.address_of(self.block.constants()[first + index * COPY])
            with where(self._spare(self.tile.columns * per_row, index)):
                do("copy16", T.address_of(self.memory[word]), weights, 1, 0)

    def _copy_pixels(self, piece: Expr, to: Expr) -> None:
        gemm, layer = self.gemm, self.layers[0]
        per_row = gemm.depth // COPY
        row = gemm.channel_pieces * gemm.depth  # bytes of a pixel
        tap = bind(quotient(piece, gemm.channel_pieces))
        first = bind(remainder(piece, gemm.channel_pieces) * gemm.depth)
        down, right = bind(quotient(tap, layer.kernel)), bind(remainder(tap, layer.kernel))
        with T.unroll(self.row_copies) as i:
            index = bind(self.block.thread + i * self.tile.threads)
            y, x = bind(self.top[i] + down), bind(self.left[i] + right)
            inside: Expr = constant(1)
            if layer.kernel > 1:
                within = (y >= 0, y < self.in_height, x >= 0, x < self.in_width)
                inside = T.cast(T.And(T.And(*within[:2]), T.And(*within[2:])), "int32")
                # An address outside is not read, but it should not be made either.
                inside = bind(inside)
                y, x = y * inside, x * inside
            part = bind(remainder(index, per_row))
            word = to + quotient(index, per_row) * self.pitch + part * 4
            byte = self.input + (y * self.in_width + x) * row + first + part * COPY
            pixels = T.address_of(self.block.workspace()[byte])
            with where(self._spare(self.tile.rows * per_row, index)):
                do("copy16", T.address_of(self.memory[word]), pixels, inside, self.fill)

    def _spare(self, copies: int, index: Expr) -> Expr | None:
        """The condition where there are not enough copies for all threads."""
        return index < copies if copies % self.tile.threads else None

    def _finish(self) -> None:
        """Sums by way of shared memory to the output, so that neighbours write neighbours."""
        block, tile, arithmetic = self.block, self.tile, self.block.arithmetic
        sums = T.decl_buffer(
            (tile.rows * self._sums_pitch,), arithmetic.accumulator, data=self.memory.data,
            scope="shared",
        )  # fmt: skip
        self.core.store(sums, self._sums_pitch)
        do("barrier")
        per_row = tile.columns // QUAD
        output = bind(block.bytes_at([each.output for each in self.step.members], self.member))
        suffixes = [str(i) for i in range(len(self.layers))]
        epilogue = Epilogue(block, self.step.name, self.layers, self.member, suffixes)
        with T.serial(tile.rows * per_row // tile.threads) as i:
            index = bind(block.thread + i * tile.threads)
            row, quad = bind(quotient(index, per_row)), bind(remainder(index, per_row))
            pixel = bind(self.first_pixel + row)
            channel = bind(self.column_tile * tile.columns + quad * QUAD)
            with T.If(T.And(pixel < self.pixels, channel < self.gemm.outputs)), T.Then():
                values = registers(QUAD, arithmetic.accumulator)
                kind = "words" if arithmetic.integers else "f32"
                do(f"read4_{kind}", T.address_of(sums[row * self._sums_pitch + quad * QUAD]),
                   T.address_of(values[0]))  # fmt: skip
                to = output + (pixel * self.gemm.outputs + channel) * arithmetic.item
                merge = self.step.members[0].merge
                epilogue(
                    values, 0, channel, T.address_of(block.workspace()[to]),
                    (lambda results: self._merge(pixel, channel, results)) if merge else None,
                )  # fmt: skip

    def _merge(self, pixel: Expr, channel: Expr, results: Expr) -> None:
        merge = self.step.members[0].merge
        assert merge is not None
        row = quotient(quotient(pixel, self.width), 2)
        column = quotient(remainder(pixel, self.width), 2)
        at = row * merge.top.width + column
        byte = (
            self.block.bytes_at(merge.top)
            + (at * self.gemm.outputs + channel) * self.block.arithmetic.item
        )
        merged(self.block, merge, T.address_of(self.block.workspace()[byte]), results)
