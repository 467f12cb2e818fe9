"""3x3 convolutions, stride 1: Winograd's F(2x2, 3x3) on the micro-kernel.

A 4x4 tile of the input gives a 2x2 tile of the output with 16 multiplications for each pair of
channels instead of 36 (Lavin and Gray 2016): Y = A^T [(G g G^T) * (B^T d B)] A. The products of one
of the 16 places, over all tiles and channels, are one GEMM.

Strip by strip, so that the transformed input stays in the second-level cache: the strip's tiles are
transformed; then for every block of outputs and group of tiles the 16 GEMMs and the transform back.

In integers it is exact. G holds halves, so the weights are transformed by 2 G and everything comes
out four times as large. An element of B^T d B adds and subtracts four bytes and fits 16 bits, as
four times the weights do, at most 9 * 127. The border holds the input's zero point, so what is
computed is the convolution of the stored values, and the bias takes the rest, as in the direct
form. `fits` sees to it that no sum leaves 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.graph import Convolution
from targets.isa.arithmetic import Arithmetic, Product
from targets.layout import layout_of
from targets.operators import epilogue
from targets.operators.border import fill_border
from targets.operators.emit import Argument, Index, bind, constant, function, load, splat, store
from targets.operators.epilogue import Epilogue
from targets.operators.gemm import Reduction, Registers, accumulate
from targets.tiles import Tile

PLACES = 16

_TWICE_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
_SHIFT = 2  # bits: 2 G on both sides makes all results four times as large
# How far from zero an element of B^T d B can be for d in 0..255 or -128..127: differences of two
# values in both directions or one, but in one place the sum of four.
_FURTHEST = np.full((4, 4), 2 * 255)
_FURTHEST[1, 1] = 4 * 255
_ADDED = ([0, 1, 2], [1, 2, 3])  # places that the rows of A^T add or subtract


def fits(layer: Convolution, arithmetic: Arithmetic) -> bool:
    """Whether the layer is one that this operator computes, exactly if on integers."""
    output = layer.output
    return (
        arithmetic.transformed() is not None
        and layer.kernel == 3
        and layer.stride == 1
        and not layer.depthwise
        and not (output.height % 2 or output.width % 2)
        and (layer.multipliers is None or _highest_sum(layer.weights) < 2**31)
    )


def _highest_sum(weights: np.ndarray) -> int:
    """A bound of the sums over channels and of any of them added up on the way back; integers."""
    products = np.abs(_moved(weights)).sum(-1) * _FURTHEST[..., None]  # (4, 4, O)
    sums = [products[rows][:, columns].sum((0, 1)) for rows in _ADDED for columns in _ADDED]
    return int(np.max(sums))


def _moved(weights: np.ndarray) -> np.ndarray:
    """(O, I, 3, 3) to 4 G g G^T, (4, 4, O, I), exactly: in int64 or float64."""
    wide = np.int64 if weights.dtype.kind == "i" else np.float64
    half = np.einsum("ui,ocij->uocj", _TWICE_G, weights.astype(wide))
    return np.einsum("uocj,vj->uvoc", half, _TWICE_G)


def constants(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> dict[str, np.ndarray]:
    """The transformed weights of the 16 places, each packed, bias and multipliers.

    Integers are four times as large as the transform says.
    """
    product, pitch = _product(arithmetic), layout_of(layer.input, arithmetic).pitch
    outputs, channels = layer.weights.shape[:2]
    moved = _moved(layer.weights).reshape(PLACES, outputs, channels)
    if layer.multipliers is None:
        moved = moved / 2**_SHIFT
    padded = np.zeros((PLACES, pitch, outputs), product.weight)
    padded[:, :channels] = moved.swapaxes(1, 2)
    packed = [product.pack(each, tile.vectors) for each in padded]
    return {"weights": np.concatenate(packed), **epilogue.constants(layer, arithmetic)}


def _product(arithmetic: Arithmetic) -> Product:
    product = arithmetic.transformed()
    assert product is not None
    return product


def winograd(layer: Convolution, arithmetic: Arithmetic, tile: Tile) -> tirx.PrimFunc:
    """f(x, weights, bias, y). Raises ValueError for a layer that does not fit."""
    if not fits(layer, arithmetic):
        raise ValueError(f"{layer.name} is no 3x3 convolution of even size, stride 1, that fits")
    inside, outside = layout_of(layer.input, arithmetic), layout_of(layer.output, arithmetic)
    arrays = constants(layer, arithmetic, tile)

    def body(x: Expr, *rest: Expr) -> None:
        buffers, y = dict(zip(arrays, rest, strict=False)), rest[-1]
        finish = Epilogue.of(layer, arithmetic, buffers.get("multipliers"))
        _Winograd(layer, arithmetic, tile, x, buffers["weights"], buffers["bias"], y, finish).emit()
        fill_border(y, outside, finish.zero)

    arguments = [Argument("x", arithmetic.stored, inside.size)]
    arguments += [Argument(name, str(a.dtype), a.size) for name, a in arrays.items()]
    arguments += [Argument("y", arithmetic.stored, outside.size)]
    return function(layer.name, arguments, body)


class _Winograd:
    def __init__(
        self, layer: Convolution, arithmetic: Arithmetic, tile: Tile,
        x: Expr, weights: Expr, bias: Expr, y: Expr, finish: Epilogue,
    ) -> None:  # fmt: skip
        self.arithmetic, self.lanes, self.tile = arithmetic, arithmetic.lanes, tile
        self.product, self.epilogue = _product(arithmetic), finish
        self.x, self.weights, self.bias, self.y = x, weights, bias, y
        self.inside, self.outside = (
            layout_of(each, arithmetic) for each in (layer.input, layer.output)
        )
        self.across = self.outside.width // 2
        down = self.outside.height // 2
        self.deep = _strip_rows(down, tile.chunks)
        self.strips = down // self.deep
        self.tiles = self.deep * self.across
        self.rows = next(r for r in range(min(tile.rows, self.tiles), 0, -1) if self.tiles % r == 0)

    def emit(self) -> None:
        vectors = self.outside.pitch // self.lanes
        with T.parallel(self.strips) as strip:
            pitch, block = self.inside.pitch, self.tile.vectors * self.lanes
            moved = T.alloc_buffer((PLACES * self.tiles * pitch,), self.product.stored)
            products = T.alloc_buffer((PLACES * self.rows * block,), self.product.accumulator)
            # As many as a vector holds of what they are moved to.
            wide = self.lanes * self.product.depth
            wide = wide if pitch % wide == 0 else self.lanes
            with T.serial(self.tiles) as t, T.serial(pitch // wide) as c:
                self._move_in(strip, t, c * wide, wide, moved)
            whole, rest = divmod(vectors, self.tile.vectors)
            with T.serial(whole) as i:
                self._block(strip, i * block, self.tile.vectors, moved, products)
            if rest:
                self._block(strip, constant(whole * block), rest, moved, products)

    def _corner(self, strip: Index, t: Index) -> tuple[Index, Index]:
        """First output pixel of tile number `t` of a strip."""
        return (strip * self.deep + t // self.across) * 2, t % self.across * 2

    def _move_in(self, strip: Index, t: Index, channel: Index, wide: int, moved: Expr) -> None:
        """B^T d B of `wide` channels."""
        row, column = self._corner(strip, t)
        first = bind(self.inside.at(row - 1, column - 1) + channel)
        d = [
            [bind(self._load(first + i * self.inside.row + j * self.inside.pitch, wide))
             for j in range(4)]
            for i in range(4)
        ]  # fmt: skip
        columns = [[bind(v) for v in _bt(column)] for column in zip(*d, strict=True)]
        for u in range(4):
            for v, value in enumerate(_bt([columns[j][u] for j in range(4)])):
                at = ((4 * u + v) * self.tiles + t) * self.inside.pitch + channel
                store(moved, at, value, wide)

    def _load(self, at: Index, wide: int) -> Expr:
        return T.cast(load(self.x, at, wide), f"{self.product.stored}x{wide}")

    def _block(
        self, strip: Index, output: Index, vectors: int, moved: Expr, products: Expr
    ) -> None:
        """All tiles of a strip, for one block of outputs."""
        pitch, width = self.inside.pitch, vectors * self.lanes
        reduction = Reduction(1, pitch, 0)
        with T.serial(self.tiles // self.rows) as group:
            first = group * self.rows
            with T.serial(PLACES) as place:
                registers = Registers(self.product, self.rows, vectors)
                for r in range(self.rows):
                    for v in range(vectors):
                        registers[r, v] = splat(0, self.product.accumulator, self.lanes)
                start = bind((place * self.tiles + first) * pitch)
                panel = place * (pitch * self.outside.pitch) + output * pitch
                accumulate(
                    self.product, registers, moved,
                    [start + r * pitch for r in range(self.rows)],
                    self.weights, panel, reduction,
                )  # fmt: skip
                for r in range(self.rows):
                    for v in range(vectors):
                        at = (place * self.rows + r) * width + v * self.lanes
                        store(products, at, registers[r, v], self.lanes)
            with T.serial(self.rows) as r, T.serial(vectors) as v:
                self._move_out(strip, first + r, output + v * self.lanes, products,
                               r * width + v * self.lanes, self.rows * width)  # fmt: skip

    def _move_out(
        self, strip: Index, t: Index, output: Index, products: Expr, at: Index, step: int
    ) -> None:
        """A^T m A of one vector of outputs; the 16 places of m lie `step` apart."""
        row, column = self._corner(strip, t)
        m = [
            [bind(load(products, at + (4 * i + j) * step, self.lanes)) for j in range(4)]
            for i in range(4)
        ]
        columns = [[bind(v) for v in _at(column)] for column in zip(*m, strict=True)]
        bias = bind(load(self.bias, output, self.lanes))
        scales = self.epilogue.scales(self.arithmetic, output, 1)
        into = bind(self.outside.at(row, column) + output)
        for i in range(2):
            for j, value in enumerate(_at([columns[k][i] for k in range(4)])):
                done = self.epilogue(self.arithmetic, [self._total(value) + bias], scales)
                place = into + i * self.outside.row + j * self.outside.pitch
                store(self.y, place, done, self.lanes)

    def _total(self, value: Expr) -> Expr:
        """The convolution from what comes out of the transform."""
        if self.epilogue.multipliers is None:
            return value
        return value >> splat(_SHIFT, "int32", self.lanes)


def _strip_rows(height: int, strips: int) -> int:
    """Rows of strips of equal height, of which there are `strips` or somewhat fewer."""
    return next(d for d in range(-(-height // strips), height + 1) if height % d == 0)


def _bt(d: Sequence[Expr]) -> list[Expr]:
    """B^T of four values."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _at(m: Sequence[Expr]) -> list[Expr]:
    """A^T of four values."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
