"""ARM v8: 32 registers of 128 bits; int8 with and without the dot-product extension.

Activations are stored as s8, the ONNX graph's u8 minus 128: both extensions multiply s8 by s8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import Arithmetic, FloatArithmetic, Product, interleave_pairs
from targets.operators.emit import bind, intrinsic, join, lane, lanes_of, load, splat


class NeonFloat(FloatArithmetic):
    """fp32: fmla by element, so that one load of a row serves four elements of K."""

    lanes = 4
    step = 4
    wide = 4
    registers = 32
    tile = (5, 4)
    pixels = 4

    def load_row(self, x: Expr, at: Expr) -> Any:
        return bind(load(x, at, 4))

    def operand(self, row: Any, group: int) -> Any:
        return T.broadcast(lane(row, group), 4)


class _NeonInt8(Arithmetic):
    lanes = 4
    depth = 4
    stored = "int8"
    weight = "int8"
    accumulator = "int32"
    shift = -128
    wide = 8
    registers = 32
    tile = (5, 4)
    pixels = 4

    def finish(self, totals: Sequence[Expr], scales: Sequence[Expr], zero: int) -> Expr:
        rounded = [
            intrinsic("llvm.aarch64.neon.fcvtns.v4i32.v4f32", "int32x4", product(t, s))
            for t, s in zip(totals, scales, strict=True)
        ]
        halves = [intrinsic("llvm.aarch64.neon.sqxtn.v4i16", "int16x4", r) for r in rounded]
        if len(halves) % 2:
            return lanes_of(self._narrow([*halves, halves[-1]], zero), 0, 4 * len(halves))
        return self._narrow(halves, zero)

    def _narrow(self, halves: Sequence[Expr], zero: int) -> Expr:
        bytes_ = []
        for low, high in zip(halves[::2], halves[1::2], strict=True):
            both = intrinsic(
                "llvm.aarch64.neon.sqadd.v8i16", "int16x8", join([low, high], 4),
                splat(zero, "int16", 8),
            )  # fmt: skip
            bytes_.append(intrinsic("llvm.aarch64.neon.sqxtn.v8i8", "int8x8", both))
        return join(bytes_, 8)


class NeonDot(_NeonInt8):
    """int8: sdot by element, four times four products added to 32 bits."""

    step = 16

    def load_row(self, x: Expr, at: Expr) -> Any:
        return bind(T.reinterpret("int32x4", load(x, at, 16)))

    def operand(self, row: Any, group: int) -> Any:
        return T.reinterpret("int8x16", T.broadcast(lane(row, group), 4))

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        return intrinsic("llvm.aarch64.neon.sdot.v4i32.v16i8", "int32x4", total, w, x)


class NeonMatrix(_NeonInt8):
    """int8 with the matrix extension (i8mm): smmla, eight elements of two rows by two outputs.

    A vector of four outputs for each of two rows is held as outputs 0 and 1 of both rows, and
    outputs 2 and 3 of both.
    """

    depth = 8
    step = 16
    rows = 2
    tile = (4, 4)

    def for_weights(self, weights: np.ndarray) -> Arithmetic:
        return self if _whole(weights, self) else NeonDot()

    def load_row(self, x: Expr, at: Expr) -> Any:
        return bind(load(x, at, 16))

    def operand(self, row: Any, group: int) -> Any:
        return bind(join([lanes_of(each, 8 * group, 8) for each in row], 8))

    def load_weights(self, w: Expr, at: Expr) -> Any:
        return [bind(load(w, at + 16 * i, 16)) for i in range(2)]

    def dot(self, total: Any, x: Any, w: Any) -> Any:
        return [
            intrinsic("llvm.aarch64.neon.smmla.v4i32.v16i8", "int32x4", each, x, weights)
            for each, weights in zip(total, w, strict=True)
        ]

    def exchanged(self, totals: Sequence[Expr]) -> Sequence[Expr]:
        return [join([lanes_of(each, half, 2) for each in totals], 2) for half in (0, 2)]


class NeonSixteen(Product):
    """Winograd's products of integers: smlal by element, four of 16 bits added to 32."""

    lanes = 4
    depth = 2
    step = 8
    stored = weight = "int16"
    accumulator = "int32"

    def load_row(self, x: Expr, at: Expr) -> Any:
        return bind(load(x, at, 8))

    def operand(self, row: Any, group: int) -> Any:
        return [T.broadcast(lane(row, 2 * group + i), 4) for i in range(2)]

    def load_weights(self, w: Expr, at: Expr) -> Any:
        both = bind(load(w, at, 8))
        return [lanes_of(both, 0, 4), lanes_of(both, 4, 4)]

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        for each, weights in zip(x, w, strict=True):
            total = total + intrinsic("llvm.aarch64.neon.smull.v4i32", "int32x4", weights, each)
        return total

    def interleave(self, groups: np.ndarray) -> np.ndarray:
        return groups.swapaxes(-2, -1)


class NeonPairs(_NeonInt8):
    """int8 without the extension: smull and smlal in 16 bits, then sadalp to 32.

    Two products fit 16 bits, as weights never are -128: 2 * 128 * 127 < 2^15.
    """

    step = 4

    def for_weights(self, weights: np.ndarray) -> Arithmetic:
        narrow = weights.min() >= -NeonQuads.largest and weights.max() <= NeonQuads.largest
        return NeonQuads() if narrow and _whole(weights, NeonQuads()) else self

    def transformed(self) -> Product | None:
        return NeonSixteen()

    def load_row(self, x: Expr, at: Expr) -> Any:
        pairs = [T.reinterpret("int16", load(x, at + 2 * i, 2)) for i in range(2)]
        return [bind(T.reinterpret("int8x8", T.broadcast(pair, 4))) for pair in pairs]

    def operand(self, row: Any, group: int) -> Any:
        return row

    def load_weights(self, w: Expr, at: Expr) -> Any:
        both = bind(load(w, at, 16))
        return [lanes_of(both, 0, 8), lanes_of(both, 8, 8)]

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        products = [
            intrinsic("llvm.aarch64.neon.smull.v8i16", "int16x8", pair, weights)
            for pair, weights in zip(x, w, strict=True)
        ]
        inside = reduce(add, products)
        return total + intrinsic("llvm.aarch64.neon.saddlp.v4i32.v8i16", "int32x4", inside)

    def interleave(self, groups: np.ndarray) -> np.ndarray:
        return interleave_pairs(groups)


class NeonQuads(NeonPairs):
    """The same for weights of 7 bits: four products fit 16 bits, 4 * 128 * 63 < 2^15."""

    depth = 8
    step = 8
    largest = 63

    def load_row(self, x: Expr, at: Expr) -> Any:
        return bind(T.reinterpret("int16x4", load(x, at, 8)))

    def operand(self, row: Any, group: int) -> Any:
        pairs = (T.broadcast(lane(row, i), 4) for i in range(4))
        return [bind(T.reinterpret("int8x8", pair)) for pair in pairs]

    def load_weights(self, w: Expr, at: Expr) -> Any:
        return [bind(load(w, at + 8 * i, 8)) for i in range(4)]

    def interleave(self, groups: np.ndarray) -> np.ndarray:
        """(..., lanes, 8) to (..., 4, lanes, 2)."""
        return groups.reshape(*groups.shape[:-1], 4, 2).swapaxes(-3, -2)


def _whole(weights: np.ndarray, product: Product) -> bool:
    """Whether a row under the window, of a convolution's (O, I, k, k), is whole groups of K."""
    _, channels, kernel, _ = weights.shape
    return kernel * -(-channels // product.lanes) * product.lanes % product.depth == 0


def product(total: Expr, scale: Expr) -> Expr:
    """int32x4 times float32x4."""
    return T.cast(total, "float32x4") * scale
