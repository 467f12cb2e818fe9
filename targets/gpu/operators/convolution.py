"""1x1 and 3x3 convolutions as implicit GEMM: a window's pixels are copied tap by tap.

Where a window leaves the map, the copy writes the stored zero instead, so that no tensor needs a
border.
"""

from __future__ import annotations

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import Arithmetic
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
from targets.gpu.operators.core import Tile
from targets.gpu.operators.product import (
    COPY,
    Gemm,
    Members,
    Product,
    constants_of,
    gemm_of,
    pixels_of,
    spare,
)
from targets.gpu.steps import Convolutions
from targets.operators.emit import Index, bind, constant


def constants(step: Convolutions, arithmetic: Arithmetic, tile: Tile) -> dict[str, np.ndarray]:
    """Those of `product.constants_of` for each member, by its number."""
    gemm = gemm_of(step.first, arithmetic, tile)
    arrays: dict[str, np.ndarray] = {}
    for number, member in enumerate(step.members):
        arrays |= constants_of(member.convolution, arithmetic, gemm, str(number))
    return arrays


def convolution(step: Convolutions, memory: Memory, tile: Tile, family: str) -> Kernel:
    """One block of threads for each tile of each member."""
    gemm = gemm_of(step.first, memory.arithmetic, tile)
    tiles = [blocks_for(pixels_of(each.convolution), tile.rows) for each in step.members]
    ends = np.cumsum(tiles).tolist()

    def body(block: Block) -> None:
        row_tile = bind(quotient(block.number, gemm.column_blocks))
        member: Index = 0
        for i, end in enumerate(ends[:-1]):
            member = tirx.Select(row_tile >= end, constant(i + 1), member)
        member = bind(member) if len(ends) > 1 else 0
        suffixes = [str(i) for i in range(len(step.members))]
        members = Members(block, step.name, step.members, member, suffixes)
        first_pixel = bind((row_tile - chosen([0, *ends[:-1]], member)) * tile.rows)
        words = shared(gemm.words(tile.rows + tile.columns))
        pixels = _Windows(members, gemm, words, first_pixel)
        product = Product(members, gemm, family, words, 0, pixels, first_pixel)
        product.emit(bind(remainder(block.number, gemm.column_blocks)))

    return kernel(step.name, ends[-1] * gemm.column_blocks, tile.threads, memory, body)


class _Windows:
    """Pixels of the input under the windows of a tile, a `product.Pixels`."""

    def __init__(self, members: Members, gemm: Gemm, memory: Expr, first_pixel: Expr) -> None:
        self.members, self.block, self.gemm, self.tile = members, members.block, gemm, gemm.tile
        self.memory, self.layer = memory, members.layers[0]
        self.copied, self.pitch = self.tile.rows, gemm.pitch
        tensors = [layer.input for layer in members.layers]
        self.input = bind(self.block.bytes_at(tensors, members.choice))
        self.width = bind(members.of(lambda layer: layer.input.width))
        self.height = bind(members.of(lambda layer: layer.input.height))
        self.fill = bind(members.of(lambda layer: self.block.arithmetic.fill(layer.input)))
        self._find(first_pixel)

    def _find(self, first_pixel: Expr) -> None:
        """Where the window of each pixel begins that this thread copies."""
        per_row = self.gemm.depth // COPY
        self.copies = self.tile.rows * per_row
        rounds = blocks_for(self.copies, self.tile.threads)
        self.top, self.left = (registers(rounds, "int32") for _ in range(2))
        with T.unroll(rounds) as i:
            index = self.block.thread + i * self.tile.threads
            # Rows behind the last pixel repeat it; nothing is written of them.
            last = self.members.pixels - 1
            pixel = bind(T.min(first_pixel + quotient(index, per_row), last))
            stride, pad = self.layer.stride, self.layer.kernel // 2
            row, column = (f(pixel, self.members.width) for f in (quotient, remainder))
            T.buffer_store(self.top, row * stride - pad, [i])
            T.buffer_store(self.left, column * stride - pad, [i])

    def copy(self, piece: Expr, to: Expr) -> None:
        gemm, kernel_size = self.gemm, self.layer.kernel
        per_row = gemm.depth // COPY
        row = gemm.channel_pieces * gemm.depth  # bytes of a pixel
        tap = bind(quotient(piece, gemm.channel_pieces))
        first = bind(remainder(piece, gemm.channel_pieces) * gemm.depth)
        down, right = bind(quotient(tap, kernel_size)), bind(remainder(tap, kernel_size))
        with T.unroll(blocks_for(self.copies, self.tile.threads)) as i:
            index = bind(self.block.thread + i * self.tile.threads)
            y, x = bind(self.top[i] + down), bind(self.left[i] + right)
            inside: Expr = constant(1)
            if kernel_size > 1:
                within = (y >= 0, y < self.height, x >= 0, x < self.width)
                inside = bind(T.cast(T.And(T.And(*within[:2]), T.And(*within[2:])), "int32"))
                # An address outside is not read, but it should not be made either.
                y, x = y * inside, x * inside
            part = bind(remainder(index, per_row))
            word = to + quotient(index, per_row) * self.pitch + part * 4
            byte = self.input + (y * self.width + x) * row + first + part * COPY
            pixels = T.address_of(self.block.workspace()[byte])
            with where(spare(self.copies, self.tile, index)):
                do("copy16", T.address_of(self.memory[word]), pixels, inside, self.fill)

    def at(self, piece: Expr, stage: Expr) -> Expr:
        return stage
