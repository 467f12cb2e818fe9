"""3x3 depthwise convolution: channels in the lanes, neighbouring pixels share what they load."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.graph import Convolution
from targets.isa.arithmetic import Arithmetic
from targets.layout import layout_of
from targets.operators import epilogue
from targets.operators.border import fill_border
from targets.operators.emit import Argument, Index, bind, constant, function, load, store
from targets.operators.epilogue import Epilogue
from targets.tiles import Tile

TAPS = 9


def constants(layer: Convolution, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    """Weights (9, C), integers in 16 bits, bias and multipliers."""
    weights = np.ascontiguousarray(layer.weights.reshape(-1, TAPS).T).ravel()
    if layer.multipliers is not None:
        weights = weights.astype(np.int16)
    return {"weights": weights, **epilogue.constants(layer, arithmetic)}


def depthwise(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> tirx.PrimFunc:
    """f(x, weights, bias, [multipliers,] y). Raises ValueError for channels it cannot cut."""
    inside, outside = layout_of(layer.input, arithmetic), layout_of(layer.output, arithmetic)
    arrays = constants(layer, arithmetic)

    def body(x: Expr, *rest: Expr) -> None:
        buffers, y = dict(zip(arrays, rest, strict=False)), rest[-1]
        finish = Epilogue.of(layer, arithmetic, buffers.get("multipliers"))
        strip = Strip(layer, arithmetic, tile.rows, x, buffers["weights"], buffers["bias"], finish)
        with T.parallel(outside.height) as row:
            strip.emit(row, y, lambda column, channel: outside.at(row, column) + channel)
        fill_border(y, outside, finish.zero)

    arguments = [Argument("x", arithmetic.stored, inside.size)]
    arguments += [Argument(name, str(a.dtype), a.size) for name, a in arrays.items()]
    arguments += [Argument("y", arithmetic.stored, outside.size)]
    return function(layer.name, arguments, body)


class Strip:
    """One row of outputs, or a part of it."""

    def __init__(
        self, layer: Convolution, arithmetic: Arithmetic, pixels: int,
        x: Expr, weights: Expr, bias: Expr, finish: Epilogue,
    ) -> None:  # fmt: skip
        self.channels, self.wide = layer.output.channels, arithmetic.wide
        if self.channels % self.wide:
            raise ValueError(
                f"{layer.name}: {self.channels} channels are no multiple of {self.wide}"
            )
        self.arithmetic, self.epilogue = arithmetic, finish
        self.x, self.weights, self.bias = x, weights, bias
        self.inside, self.stride = layout_of(layer.input, arithmetic), layer.stride
        self.width = layer.output.width
        self.pixels = -(-self.width // -(-self.width // pixels))

    def emit(self, row: Index, y: Expr, at: Callable[[Index, Index], Index]) -> None:
        """Output row `row`; at(column, channel) is where an output goes in `y`."""
        with T.serial(self.channels // self.wide) as block:
            channel = block * self.wide
            weights = [bind(self._wide(self.weights, tap * self.channels + channel))
                       for tap in range(TAPS)]  # fmt: skip
            bias = bind(load(self.bias, channel, self.wide))
            vectors = self.wide // self.arithmetic.lanes
            scales = self.epilogue.scales(self.arithmetic, channel, vectors)
            whole, rest = divmod(self.width, self.pixels)
            with T.serial(whole) as i:
                self._pixels(
                    row, i * self.pixels, self.pixels, channel, weights, bias, scales, y, at
                )
            if rest:
                self._pixels(
                    row, constant(whole * self.pixels), rest, channel, weights, bias, scales, y, at
                )

    def _pixels(
        self, row: Index, column: Index, count: int, channel: Index, weights: list[Expr],
        bias: Expr, scales: list[Expr], y: Expr, at: Callable[[Index, Index], Index],
    ) -> None:  # fmt: skip
        first = bind(self.inside.at(row * self.stride - 1, column * self.stride - 1) + channel)
        totals = [bias] * count
        for v in range(3):
            columns = (count - 1) * self.stride + 3
            loaded = [
                bind(self._wide(self.x, first + v * self.inside.row + u * self.inside.pitch))
                for u in range(columns)
            ]
            for pixel in range(count):
                for u in range(3):
                    product = loaded[pixel * self.stride + u] * weights[3 * v + u]
                    totals[pixel] = totals[pixel] + product
            totals = [bind(total) for total in totals]
        for pixel, total in enumerate(totals):
            lanes = self.arithmetic.lanes
            parts = [load_lanes(total, i, lanes, self.wide) for i in range(self.wide // lanes)]
            value = self.epilogue(self.arithmetic, parts, scales)
            store(y, at(column + pixel, channel), value, self.wide)

    def _wide(self, buffer: Expr, at: Index) -> Expr:
        """`wide` elements in the accumulator's dtype."""
        values = load(buffer, at, self.wide)
        if self.arithmetic.accumulator == "float32":
            return values
        # By way of 16 bits: so the compiler sees products of 16 bits, which are cheap.
        return T.cast(T.cast(values, f"int16x{self.wide}"), f"int32x{self.wide}")


def load_lanes(values: Expr, part: int, lanes: int, wide: int) -> Expr:
    """Vector number `part` of `lanes` in a wider one."""
    if lanes == wide:
        return values
    return tirx.Shuffle([values], [constant(part * lanes + i) for i in range(lanes)])
