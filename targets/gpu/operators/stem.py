"""The first convolution, 3x3 with stride 2, from the image's three planes of float32.

In float32 throughout: on integers too, whose sums are whole numbers below 2^24 and so are exact.
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
    call,
    do,
    kernel,
    padded,
    quotient,
    registers,
    remainder,
    shared,
)
from targets.gpu.operators.epilogue import QUAD, Epilogue
from targets.gpu.steps import Stem
from targets.operators.emit import bind

THREADS = 128
COLOURS = 3
TERMS = 9 * COLOURS
PIXELS = 2  # of a thread, side by side
CHANNELS = 8  # of a thread, of each pixel


def constants(step: Stem, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    """weights: (27, channels) float32, rows by colour, kernel row, kernel column; and the rest.

    Pixels go in as 0..255, whose border is the image's zero point.
    """
    layer = step.convolution
    channels = arithmetic.pitch(layer.output.channels)
    weights = np.zeros((TERMS, channels), np.float32)
    weights[:, : len(layer.weights)] = layer.weights.reshape(-1, TERMS).T
    zero = 0 if layer.input.grid is None else layer.input.grid.zero_point
    bias = layer.bias - zero * layer.weights.sum((1, 2, 3), layer.bias.dtype)
    arrays = {"weights": weights, "bias": padded(bias.astype(arithmetic.accumulator), channels)}
    if layer.multipliers is not None:
        arrays["multipliers"] = padded(layer.multipliers, channels)
    return arrays


def stem(step: Stem, memory: Memory) -> Kernel:
    layer = step.convolution
    channels = memory.arithmetic.pitch(layer.output.channels)
    parts, across = channels // CHANNELS, blocks_for(layer.output.width, PIXELS)
    work = layer.output.height * across * parts

    def body(block: Block) -> None:
        weights = shared(TERMS * channels, "float32")
        start = quotient(block.constants_at(step.name, "weights"), 4)
        with T.serial(blocks_for(TERMS * channels, THREADS)) as i:
            at = bind(i * THREADS + block.thread)
            with T.If(at < TERMS * channels), T.Then():
                T.buffer_store(weights, block.constants("float32")[start + at], [at])
        do("barrier")
        index = bind(block.number * THREADS + block.thread)
        with T.If(index < work), T.Then():
            place = bind(quotient(index, parts))
            _Pixels(
                step, block, weights, channels, bind(quotient(place, across)),
                bind(remainder(place, across) * PIXELS), bind(remainder(index, parts) * CHANNELS),
            ).emit()  # fmt: skip

    return kernel(step.name, blocks_for(work, THREADS), THREADS, memory, body)


class _Pixels:
    """`PIXELS` outputs of a row, from `column` on, of `CHANNELS` channels from `channel` on."""

    def __init__(
        self, step: Stem, block: Block, weights: Expr, channels: int, row: Expr, column: Expr,
        channel: Expr,
    ) -> None:  # fmt: skip
        self.step, self.layer, self.block, self.weights = step, step.convolution, block, weights
        self.channels, self.row, self.column, self.channel = channels, row, column, channel

    def emit(self) -> None:
        stride = self.layer.stride
        sums = registers(PIXELS * CHANNELS, "float32")
        with T.unroll(PIXELS * CHANNELS) as i:
            T.buffer_store(sums, T.float32(0), [i])
        columns = (PIXELS - 1) * stride + 3
        pixels, weights = registers(columns, "float32"), registers(CHANNELS, "float32")
        for colour in range(COLOURS):
            with T.unroll(3) as v:
                y = bind(self.row * stride + v - 1)
                for u in range(columns):
                    x = bind(self.column * stride + u - 1)
                    T.buffer_store(pixels, self._pixel(colour, y, x), [u])
                for u in range(3):
                    first = ((colour * 3 + v) * 3 + u) * self.channels + self.channel
                    for quad in range(0, CHANNELS, QUAD):
                        do("read4_f32", T.address_of(self.weights[first + quad]),
                           T.address_of(weights[quad]))  # fmt: skip
                    for pixel in range(PIXELS):
                        with T.unroll(CHANNELS) as i:
                            at = pixel * CHANNELS + i
                            product = pixels[pixel * stride + u] * weights[i]
                            T.buffer_store(sums, sums[at] + product, [at])
        self._finish(sums)

    def _pixel(self, colour: int, y: Expr, x: Expr) -> Expr:
        """As the convolution takes it: normalised, or a step of the grid."""
        image, size = self.step.image, self.step.image.output.width
        grid = image.output.grid
        value = registers(1, "float32")
        outside = 0 if grid is None else grid.zero_point
        inside = T.And(T.And(y >= 0, y < size), T.And(x >= 0, x < size))
        with T.If(inside):
            with T.Then():
                pixel = self.block.image((y + colour * size) * size + x)
                if grid is None:
                    scale, shift = T.float32(image.scale[colour]), T.float32(image.shift[colour])
                    stored = call("multiply_add", pixel, scale, shift, dtype="float32")
                else:
                    # Cut before rounding: a cast of NaN or of a huge value could be anything.
                    cut = T.min(T.max(pixel, T.float32(0)), T.float32(255))
                    stored = T.cast(call("nearest", cut), "float32")
                T.buffer_store(value, stored, [0])
            with T.Else():
                T.buffer_store(value, T.float32(outside), [0])
        return value[0]

    def _finish(self, sums: Expr) -> None:
        tensor, arithmetic = self.layer.output, self.block.arithmetic
        totals = registers(PIXELS * CHANNELS, arithmetic.accumulator)
        with T.unroll(PIXELS * CHANNELS) as i:
            T.buffer_store(totals, T.cast(sums[i], arithmetic.accumulator), [i])
        epilogue = Epilogue(self.block, self.step.name, [self.layer])
        start = bind(self.block.bytes_at(tensor))
        for pixel in range(PIXELS):
            x = bind(self.column + pixel)
            with T.If(x < tensor.width), T.Then():
                for quad in range(0, CHANNELS, QUAD):
                    at = (self.row * tensor.width + x) * self.channels + self.channel + quad
                    to = T.address_of(self.block.workspace()[start + at * arithmetic.item])
                    epilogue(totals, pixel * CHANNELS + quad, self.channel + quad, to)
