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
from targets.layout import flat, layout_of, stored_zero
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
    """Packed weights, bias with the input's zero point folded in, and multipliers.

    sum (x - z) w + b = sum x w + (b - z sum w), exactly, where x and z are as stored and the border
    holds z.
    """
    inside, outside = layout_of(layer.input, arithmetic), layout_of(layer.output, arithmetic)
    weights = _weights(layer, inside.pitch)
    bias = layer.bias - stored_zero(layer.input, arithmetic) * weights.sum(0, layer.bias.dtype)
    arrays = {
        "weights": arithmetic.pack(weights, tile.vectors),
        "bias": _padded(bias.astype(arithmetic.accumulator), outside.pitch),
    }
    if layer.multipliers is not None:
        arrays["multipliers"] = _padded(layer.multipliers, outside.pitch)
    return arrays


def _weights(layer: Convolution, pitch: int) -> np.ndarray:
    """(K, O): rows in the order of the input's memory, kernel row, kernel column, channel."""
    outputs, channels, kernel, _ = layer.weights.shape
    ordered = np.zeros((kernel, kernel, pitch, outputs), layer.weights.dtype)
    ordered[:, :, :channels] = layer.weights.transpose(2, 3, 1, 0)
    return ordered.reshape(-1, outputs)


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([values, np.zeros(size - len(values), values.dtype)])


def convolution(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> tirx.PrimFunc:
    """f(x, weights, bias, [multipliers,] y)."""
    inside, outside = layout_of(layer.input, arithmetic), layout_of(layer.output, arithmetic)
    arrays = constants(layer, arithmetic, tile)

    def body(x: Expr, *rest: Expr) -> None:
        buffers, y = dict(zip(arrays, rest, strict=False)), rest[-1]
        epilogue = Epilogue(
            stored_zero(layer.output, arithmetic), layer.limits, buffers.get("multipliers")
        )
        _Gemm(layer, arithmetic, tile, x, buffers["weights"], buffers["bias"], y, epilogue).emit()
        fill_border(y, outside, epilogue.zero)

    arguments = [Argument("x", arithmetic.stored, inside.size)]
    arguments += [Argument(name, str(a.dtype), a.size) for name, a in arrays.items()]
    arguments += [Argument("y", arithmetic.stored, outside.size)]
    return function(layer.name, arguments, body)


class _Gemm:
    """The loops around the micro-kernel."""

    def __init__(
        self, layer: Convolution, arithmetic: Arithmetic, tile: Tile,
        x: Expr, weights: Expr, bias: Expr, y: Expr, epilogue: Epilogue,
    ) -> None:  # fmt: skip
        self.arithmetic, self.tile, self.epilogue = arithmetic, tile, epilogue
        self.x, self.weights, self.bias, self.y = x, weights, bias, y
        self.inside, self.outside = (
            layout_of(each, arithmetic) for each in (layer.input, layer.output)
        )
        self.stride, self.corner = layer.stride, -(layer.kernel // 2)
        if (
            layer.kernel == 1
            and layer.stride == 1
            and not (self.inside.border or self.outside.border)
        ):
            self.inside, self.outside = flat(self.inside), flat(self.outside)
        length = layer.kernel * self.inside.pitch
        self.reduction = Reduction(layer.kernel, length, self.inside.row)

    def emit(self) -> None:
        blocks = tile_blocks(self.outside.pitch // self.arithmetic.lanes, self.tile.vectors)
        area = tile_pixels(self.outside.height, self.outside.width, self.tile.rows)
        down = -(-self.outside.height // area.height)
        across = -(-self.outside.width // area.width)
        units = down * across
        enough = blocks[0] + bool(blocks[1]) >= min(FEWEST_PIECES, units)
        by_output = self.tile.by_output and enough
        chunk = units if by_output else -(-units // self.tile.chunks)
        pieces = -(-units // chunk)

        def over_units(piece: Index, block: Index, vectors: int) -> None:
            count = (
                chunk
                if units % chunk == 0
                else T.min(constant(chunk), constant(units) - piece * chunk)
            )
            with T.serial(count) as i:
                unit = piece * chunk + i
                self._unit(unit, across, area, block, vectors)

        if by_output:
            self._over_blocks(blocks, T.parallel, lambda b, v: over_units(constant(0), b, v))
        else:
            with T.parallel(pieces) as piece:
                self._over_blocks(blocks, T.serial, lambda b, v: over_units(piece, b, v))

    def _over_blocks(
        self, blocks: tuple[int, int], loop: Callable, body: Callable[[Index, int], None]
    ) -> None:
        """All blocks of outputs, the last of which may have fewer vectors."""
        whole, rest = blocks
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

    def _unit(self, unit: Index, across: int, area: Pixels, block: Index, vectors: int) -> None:
        """One rectangle of pixels; those at the right and bottom edge may be smaller."""
        row, column = unit // across * area.height, unit % across * area.width
        if across == 1:
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
        into = T.Bind(self.outside.at(row, column) + output)
        for r, (i, j) in enumerate(places):
            at = into + i * self.outside.row + j * self.outside.pitch
            totals = [registers[r, v] for v in range(vectors)]
            value = self.epilogue(arithmetic, totals, scales)
            store(self.y, at, value, vectors * arithmetic.lanes)


def tile_blocks(vectors: int, per_block: int) -> tuple[int, int]:
    """Whole blocks, and vectors of the last one if it is smaller."""
    return divmod(vectors, per_block)


def tile_pixels(height: int, width: int, rows: int) -> Pixels:
    """A rectangle of at most `rows` pixels that covers the map with as few as possible."""
    if 2 * width <= rows:
        return Pixels(min(height, rows // width), width)
    pieces = -(-width // rows)
    return Pixels(1, -(-width // pieces))
