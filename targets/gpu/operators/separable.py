"""A depthwise and the following 1x1 convolution in one: nothing is written between them.

A block of threads computes the depthwise part of its pixels, all channels of it, into shared
memory, and from there all outputs.
"""

from __future__ import annotations

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import Arithmetic
from targets.gpu.kernel import (
    Block,
    Kernel,
    Memory,
    blocks_for,
    do,
    kernel,
    quotient,
    remainder,
    shared,
)
from targets.gpu.operators import depthwise
from targets.gpu.operators.core import Tile
from targets.gpu.operators.epilogue import QUAD
from targets.gpu.operators.product import (
    SPARE,
    Gemm,
    Members,
    Product,
    constants_of,
    gemm_of,
    pixels_of,
)
from targets.gpu.steps import Member, Separable
from targets.operators.emit import bind

LARGEST = 48 * 1024  # bytes of shared memory that any GPU has for a block


def constants(step: Separable, arithmetic: Arithmetic, tile: Tile) -> dict[str, np.ndarray]:
    """Those of `depthwise`, and of `product.constants_of` with "1" behind their names."""
    gemm = gemm_of(step.pointwise, arithmetic, tile)
    return {
        **depthwise.constants_of(step.depthwise, arithmetic),
        **constants_of(step.pointwise, arithmetic, gemm, "1"),
    }


def fits(step: Separable, arithmetic: Arithmetic, tile: Tile) -> bool:
    """Whether a block's shared memory holds the depthwise part of its pixels."""
    gemm = gemm_of(step.pointwise, arithmetic, tile)
    return 4 * (tile.rows * _pitch(step, arithmetic) + gemm.words(tile.columns)) <= LARGEST


def _pitch(step: Separable, arithmetic: Arithmetic) -> int:
    """Words of a pixel in shared memory."""
    return arithmetic.pitch(step.pointwise.input.channels) * arithmetic.item // 4 + SPARE


def separable(step: Separable, memory: Memory, tile: Tile, family: str) -> Kernel:
    """One block of threads for each tile of pixels."""
    arithmetic = memory.arithmetic
    gemm = gemm_of(step.pointwise, arithmetic, tile)
    resident = tile.rows * _pitch(step, arithmetic)

    def body(block: Block) -> None:
        members = Members(block, step.name, (Member(step.pointwise),), 0, ["1"])
        first_pixel = bind(block.number * tile.rows)
        words = shared(resident + gemm.words(tile.columns))
        pixels = _Depthwise(step, block, gemm, words, _pitch(step, arithmetic))
        pixels.compute(first_pixel)
        product = Product(members, gemm, family, words, resident, pixels, first_pixel)
        with T.serial(gemm.column_blocks) as column_tile:
            do("barrier")
            product.emit(column_tile)

    blocks = blocks_for(pixels_of(step.pointwise), tile.rows)
    return kernel(step.name, blocks, tile.threads, memory, body)


class _Depthwise:
    """The depthwise part of a tile's pixels at the begin of shared memory, a `product.Pixels`."""

    copied = 0

    def __init__(self, step: Separable, block: Block, gemm: Gemm, memory: Expr, pitch: int) -> None:
        self.step, self.block, self.gemm, self.memory, self.pitch = step, block, gemm, memory, pitch

    def compute(self, first_pixel: Expr) -> None:
        """Every thread has four channels of some of the pixels."""
        layer, tile, arithmetic = self.step.depthwise, self.gemm.tile, self.block.arithmetic
        quads = arithmetic.pitch(layer.output.channels) // QUAD
        last = pixels_of(layer) - 1
        work = tile.rows * quads
        with T.serial(blocks_for(work, tile.threads)) as i:
            index = bind(self.block.thread + i * tile.threads)
            with T.If(index < work), T.Then():
                row, quad = bind(quotient(index, quads)), bind(remainder(index, quads))
                # Rows behind the last pixel repeat it; nothing is written of them.
                pixel = bind(T.min(first_pixel + row, last))
                window = depthwise.Window(
                    layer, self.block, self.step.name, 1,
                    bind(quotient(pixel, layer.output.width)),
                    bind(remainder(pixel, layer.output.width)), bind(quad * QUAD),
                )  # fmt: skip
                word = row * self.pitch + quad * (arithmetic.item * QUAD // 4)
                window.emit(lambda _: T.address_of(self.memory[word]))

    def copy(self, piece: Expr, to: Expr) -> None:
        pass

    def at(self, piece: Expr, stage: Expr) -> Expr:
        return piece * (self.gemm.depth // 4)
