"""1x1 and 3x3 convolutions as implicit GEMM on the micro-kernel; the stem too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.graph import Convolution
from targets.isa.arithmetic import Arithmetic
from targets.layout import Layout, flat, layout_of
from targets.operators import epilogue
from targets.operators.border import fill_border
from targets.operators.emit import Argument, Index, constant, function, store
from targets.operators.epilogue import Epilogue
from targets.operators.gemm import Reduction, Registers, accumulate, start
from targets.tiles import Tile

FEWEST_PIECES = 4  # that threads should have to share, if there are as many


@dataclass(frozen=True)
class Pixels:
    """A rectangle of output pixels that one call of the micro-kernel computes."""

    height: int
    width: int


def constants(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> dict[str, np.ndarray]:
    """Packed weights, bias and multipliers."""
    weights = _weights(layer, layout_of(layer.input, arithmetic).pitch)
    packed = arithmetic.pack(weights, tile.vectors)
    return {"weights": packed, **epilogue.constants(layer, arithmetic)}


def _weights(layer: Convolution, pitch: int) -> np.ndarray:
    """(K, O): rows in the order of the input's memory, kernel row, kernel column, channel."""
    outputs, channels, kernel, _ = layer.weights.shape
    ordered = np.zeros((kernel, kernel, pitch, outputs), layer.weights.dtype)
    ordered[:, :, :channels] = layer.weights.transpose(2, 3, 1, 0)
    return ordered.reshape(-1, outputs)


def convolution(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> tirx.PrimFunc:
    """f(x, weights, bias, [multipliers,] y)."""
    inside, outside = layout_of(layer.input, arithmetic), layout_of(layer.output, arithmetic)
    arrays = constants(layer, arithmetic, tile)

    def body(x: Expr, *rest: Expr) -> None:
        buffers, y = dict(zip(arrays, rest, strict=False)), rest[-1]
        finish = Epilogue.of(layer, arithmetic, buffers.get("multipliers"))
        layouts = (inside, outside)
        if layer.kernel == 1 and layer.stride == 1 and not (inside.border or outside.border):
            layouts = (flat(inside), flat(outside))
        gemm = Gemm(
            layer, arithmetic, tile, *layouts, x, buffers["weights"], buffers["bias"], y, finish
        )
        gemm.emit_parallel()
        fill_border(y, outside, finish.zero)

    arguments = [Argument("x", arithmetic.stored, inside.size)]
    arguments += [Argument(name, str(a.dtype), a.size) for name, a in arrays.items()]
    arguments += [Argument("y", arithmetic.stored, outside.size)]
    return function(layer.name, arguments, body)


class Gemm:
    """The loops around the micro-kernel.

    inside, outside: of the pixels in `x` and `y`. origin: row of `y` where those of `x` begin.
    """

    def __init__(
        self, layer: Convolution, arithmetic: Arithmetic, tile: Tile, inside: Layout,
        outside: Layout, x: Expr, weights: Expr, bias: Expr, y: Expr, finish: Epilogue,
        origin: Index = 0,
    ) -> None:  # fmt: skip
        self.arithmetic, self.tile, self.epilogue = arithmetic, tile, finish
        self.x, self.weights, self.bias, self.y = x, weights, bias, y
        self.inside, self.outside, self.origin = inside, outside, origin
        self.stride, self.corner = layer.stride, -(layer.kernel // 2)
        length = layer.kernel * inside.pitch
        self.reduction = Reduction(layer.kernel, length, inside.row)
        self.area = tile_pixels(outside.height, outside.width, tile.rows)
        self.across = -(-outside.width // self.area.width)
        self.units = -(-outside.height // self.area.height) * self.across
        self.blocks = divmod(outside.pitch // arithmetic.lanes, tile.vectors)

    def emit_parallel(self) -> None:
        """Everything, shared among threads."""
        enough = self.blocks[0] + bool(self.blocks[1]) >= min(FEWEST_PIECES, self.units)
        if self.tile.by_output and enough:
            self._over_blocks(T.parallel, lambda b, v: self._over(constant(0), self.units, b, v))
            return
        chunk = -(-self.units // self.tile.chunks)
        with T.parallel(-(-self.units // chunk)) as piece:
            first = piece * chunk
            count = (
                chunk
                if self.units % chunk == 0
                else T.min(constant(chunk), constant(self.units) - first)
            )
            self._over_blocks(T.serial, lambda b, v: self._over(first, count, b, v))

    def emit(self) -> None:
        """Everything, on the thread that asks."""
        self._over_blocks(T.serial, lambda b, v: self._over(constant(0), self.units, b, v))

    def _over(self, first: Index, count: Index, block: Index, vectors: int) -> None:
        with T.serial(count) as i:
            self._unit(first + i, block, vectors)

    def _over_blocks(self, loop: Callable, body: Callable[[Index, int], None]) -> None:
        """All blocks of outputs, the last of which may have fewer vectors."""
        whole, rest = self.blocks
        if not rest:
            with loop(whole) as block:
                body(block, self.tile.vectors)
        elif not whole:
            body(constant(0), rest)
        else:
            with loop(whole + 1) as block, T.If(block < whole):
                with T.Then():
                    body(block, self.tile.vectors)
                with T.Else():
                    body(constant(whole), rest)

    def _unit(self, unit: Index, block: Index, vectors: int) -> None:
        """One rectangle of pixels; those at the right and bottom edge may be smaller."""
        area = self.area
        row, column = unit // self.across * area.height, unit % self.across * area.width
        if self.across == 1:
            row, column = unit * area.height, constant(0)
        self._edges(
            self.outside.height % area.height, row, area.height, self.outside.height,
            lambda height: self._edges(
                self.outside.width % area.width, column, area.width, self.outside.width,
                lambda width: self._kernel(row, column, Pixels(height, width), block, vectors),
            ),
        )  # fmt: skip

    def _edges(
        self, rest: int, at: Index, size: int, end: int, body: Callable[[int], None]
    ) -> None:
        if not rest:
            body(size)
        elif end < size:
            body(rest)
        else:
            with T.If(at + size <= end):
                with T.Then():
                    body(size)
                with T.Else():
                    body(rest)

    def _kernel(self, row: Index, column: Index, area: Pixels, block: Index, vectors: int) -> None:
        arithmetic = self.arithmetic
        places = [(i, j) for i in range(area.height) for j in range(area.width)]
        output = block * (self.tile.vectors * arithmetic.lanes)
        registers = Registers(arithmetic, len(places), vectors)
        start(registers, self.bias, output)
        first = T.Bind(
            self.inside.at(row * self.stride + self.corner, column * self.stride + self.corner)
        )
        steps = self.inside.row * self.stride, self.inside.pitch * self.stride
        accumulate(
            arithmetic, registers, self.x,
            [first + i * steps[0] + j * steps[1] for i, j in places],
            self.weights, output * self.reduction.size, self.reduction,
        )  # fmt: skip
        scales = self.epilogue.scales(arithmetic, output, vectors)
        into = T.Bind(self.outside.at(self.origin + row, column) + output)
        for r, (i, j) in enumerate(places):
            at = into + i * self.outside.row + j * self.outside.pitch
            totals = [registers[r, v] for v in range(vectors)]
            value = self.epilogue(arithmetic, totals, scales)
            store(self.y, at, value, vectors * arithmetic.lanes)


def tile_pixels(height: int, width: int, rows: int) -> Pixels:
    """A rectangle of at most `rows` pixels that covers the map with as few as possible."""
    if 2 * width <= rows:
        return Pixels(min(height, rows // width), width)
    pieces = -(-width // rows)
    return Pixels(1, -(-width // pieces))
