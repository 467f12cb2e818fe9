"""3x3 depthwise convolution: each thread four channels of some neighbouring pixels of a row."""

from __future__ import annotations

from collections.abc import Callable

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
    registers,
    remainder,
    where,
)
from targets.gpu.operators.epilogue import QUAD, Epilogue, epilogue_constants
from targets.gpu.steps import Depthwise
from targets.graph import Convolution
from targets.operators.emit import bind

THREADS = 128
TAPS = 9


def constants_of(layer: Convolution, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    """weights: (9, channels) in the accumulator's dtype; bias, multipliers: (channels,)."""
    channels = arithmetic.pitch(layer.output.channels)
    weights = np.zeros((TAPS, channels), arithmetic.accumulator)
    weights[:, : layer.output.channels] = layer.weights.reshape(-1, TAPS).T
    sums = layer.weights.sum((1, 2, 3), layer.bias.dtype)
    return {"weights": weights, **epilogue_constants(layer, sums, arithmetic, channels)}


def pixels_of(layer: Convolution, channels: int, multiprocessors: int) -> int:
    """How many pixels a thread computes: more read less again, fewer keep more threads busy."""
    wanted = multiprocessors * 1024
    whole = layer.output.height * layer.output.width * channels // QUAD
    fitting = (n for n in (4, 2, 1) if layer.stride == 1 or n < 4)
    return next((n for n in fitting if whole // n >= wanted), 1)


def depthwise(step: Depthwise, memory: Memory, pixels: int) -> Kernel:
    """pixels: side by side, of each thread."""
    layer, arithmetic = step.convolution, memory.arithmetic
    quads = arithmetic.pitch(layer.output.channels) // QUAD
    across = blocks_for(layer.output.width, pixels)
    work = layer.output.height * across * quads

    def body(block: Block) -> None:
        index = bind(block.number * THREADS + block.thread)
        with T.If(index < work), T.Then():
            place = bind(quotient(index, quads))
            window = Window(
                layer, block, step.name, pixels, bind(quotient(place, across)),
                bind(remainder(place, across) * pixels), bind(remainder(index, quads) * QUAD),
            )  # fmt: skip
            start = bind(block.bytes_at(layer.output))

            def to(pixel: int) -> Expr:
                at = window.row * layer.output.width + window.column + pixel
                byte = (at * window.pitch + window.channel) * arithmetic.item
                return T.address_of(block.workspace()[start + byte])

            window.emit(to)

    return kernel(step.name, blocks_for(work, THREADS), THREADS, memory, body)


class Window:
    """`pixels` outputs of a row, from `column` on, of four channels from `channel` on.

    step: whose constants they are.
    """

    def __init__(
        self, layer: Convolution, block: Block, step: str, pixels: int, row: Expr, column: Expr,
        channel: Expr,
    ) -> None:  # fmt: skip
        self.layer, self.block, self.step, self.pixels = layer, block, step, pixels
        self.row, self.column, self.channel = row, column, channel
        self.arithmetic = block.arithmetic
        self.pitch = self.arithmetic.pitch(layer.output.channels)

    def emit(self, to: Callable[[int], Expr]) -> None:
        """Compute them and write each pixel's four channels to its address."""
        layer, dtype = self.layer, self.arithmetic.accumulator
        weights = registers(TAPS * QUAD, dtype)
        self._read_weights(weights)
        sums = registers(self.pixels * QUAD, dtype)
        with T.unroll(self.pixels * QUAD) as i:
            T.buffer_store(sums, T.cast(T.int32(0), dtype), [i])
        values = registers(QUAD, dtype)
        columns = (self.pixels - 1) * layer.stride + 3
        with T.unroll(3) as v:
            y = bind(self.row * layer.stride + v - 1)
            for u in range(columns):
                self._read(y, bind(self.column * layer.stride + u - 1), values)
                for pixel in range(self.pixels):
                    tap = u - pixel * layer.stride
                    if tap not in range(3):
                        continue
                    with T.unroll(QUAD) as i:
                        at = pixel * QUAD + i
                        product = values[i] * weights[(v * 3 + tap) * QUAD + i]
                        T.buffer_store(sums, sums[at] + product, [at])
        self._finish(sums, to)

    def _read_weights(self, weights: Expr) -> None:
        start = bind(self.block.constants_at(self.step, "weights"))
        kind = "words" if self.arithmetic.integers else "f32"
        with T.unroll(TAPS) as tap:
            at = start + (tap * self.pitch + self.channel) * 4
            address = T.address_of(self.block.constants()[at])
            do(f"read4_{kind}", address, T.address_of(weights[tap * QUAD]))

    def _read(self, y: Expr, x: Expr, values: Expr) -> None:
        """Four channels of a pixel; zeros outside the map."""
        tensor = self.layer.input
        inside = T.And(
            T.And(y >= 0, y < tensor.height), T.And(x >= 0, x < tensor.width)
        )  # fmt: skip
        with T.If(inside):
            with T.Then():
                at = ((y * tensor.width + x) * self.pitch + self.channel) * self.arithmetic.item
                address = T.address_of(
                    self.block.workspace()[self.block.bytes_at(tensor) + at]
                )  # fmt: skip
                do(f"read4_{self.arithmetic.tag}", address, T.address_of(values[0]))
            with T.Else(), T.unroll(QUAD) as i:
                zero = T.cast(T.int32(self.arithmetic.zero(tensor)), self.arithmetic.accumulator)
                T.buffer_store(values, zero, [i])

    def _finish(self, sums: Expr, to: Callable[[int], Expr]) -> None:
        epilogue = Epilogue(self.block, self.step, [self.layer])
        for pixel in range(self.pixels):
            beyond = self.layer.output.width % self.pixels
            inside = self.column + pixel < self.layer.output.width if beyond else None
            with where(inside):
                epilogue(sums, pixel * QUAD, self.channel, to(pixel))
