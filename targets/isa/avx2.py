"""x86-64-v3: 16 registers of 256 bits; int8 with and without the extension AVX-VNNI.

Without it the only product of bytes, vpmaddubsw, adds two in 16 bits, which saturates. Weights of 7
bits keep it from that; larger ones are multiplied in 16 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import Arithmetic, FloatArithmetic, Product
from targets.operators.emit import bind, intrinsic, join, lanes_of, load, splat

# Two neighbours fit 16 bits: 2 * 255 * 64 = 32,640.
LARGEST = 64


class Avx2Float(FloatArithmetic):
    """fp32."""

    lanes = 8
    registers = 16
    tile = (5, 2)
    pixels = 3
    wide = 8


class Avx2Sixteen(Product):
    """Winograd's products of integers: vpmaddwd, two of 16 bits into 32."""

    lanes = 8
    depth = 2
    step = 2
    stored = weight = "int16"
    accumulator = "int32"

    def load_row(self, x: Expr, at: Expr) -> Any:
        pair = T.reinterpret("int32", load(x, at, 2))
        return bind(T.reinterpret("int16x16", T.broadcast(pair, 8)))

    def operand(self, row: Any, group: int) -> Any:
        return row

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        return total + intrinsic("llvm.x86.avx2.pmadd.wd", "int32x8", x, w)


class _Avx2Int8(Arithmetic):
    lanes = 8
    depth = 4
    step = 4
    stored = "uint8"
    weight = "int8"
    accumulator = "int32"
    registers = 16
    tile = (5, 2)
    pixels = 3
    wide = 8

    def load_row(self, x: Expr, at: Expr) -> Any:
        group = T.reinterpret("int32", load(x, at, 4))
        return bind(T.reinterpret("int8x32", T.broadcast(group, 8)))

    def operand(self, row: Any, group: int) -> Any:
        return row

    def finish(self, totals: Sequence[Expr], scales: Sequence[Expr], zero: int) -> Expr:
        # Cut above only: what is too low for 32 bits is rounded to the lowest number there is.
        highest = splat(255 - zero, "float32", 8)
        rounded = [
            intrinsic("llvm.x86.avx.cvt.ps2dq.256", "int32x8", T.min(product, highest))
            for product in (T.cast(t, "float32x8") * s for t, s in zip(totals, scales, strict=True))
        ]
        if len(rounded) % 2:
            return lanes_of(self._narrow([*rounded, rounded[-1]], zero), 0, 8 * len(rounded))
        return self._narrow(rounded, zero)

    def _narrow(self, rounded: Sequence[Expr], zero: int) -> Expr:
        """Both halves of a register are packed on their own, so that fours have to be put right."""
        bytes_ = []
        for low, high in zip(rounded[::2], rounded[1::2], strict=True):
            words = intrinsic("llvm.x86.avx2.packssdw", "int16x16", low, high)
            moved = bind(intrinsic("llvm.sadd.sat", "int16x16", words, splat(zero, "int16", 16)))
            packed = bind(intrinsic("llvm.x86.avx2.packuswb", "uint8x32", moved, moved))
            bytes_ += [lanes_of(packed, four, 4) for four in (0, 16, 4, 20)]
        return join(bytes_, 4)


class Avx2Int8(_Avx2Int8):
    """int8 with weights of 7 bits: vpmaddubsw, then vpmaddwd with ones, for four elements of K."""

    def for_weights(self, weights: np.ndarray) -> Arithmetic:
        fits = weights.min() >= -LARGEST and weights.max() <= LARGEST
        return self if fits else Avx2Wide()

    def transformed(self) -> Product | None:
        return Avx2Sixteen()

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        pairs = intrinsic("llvm.x86.avx2.pmadd.ub.sw", "int16x16", x, w)
        return total + intrinsic("llvm.x86.avx2.pmadd.wd", "int32x8", pairs, splat(1, "int16", 16))


class Avx2Wide(_Avx2Int8):
    """int8 with any weights, in 16 bits: vpmaddwd for the even elements of K and for the odd."""

    weight = "int16"

    def transformed(self) -> Product | None:
        return Avx2Sixteen()

    def load_row(self, x: Expr, at: Expr) -> Any:
        four = T.reinterpret("uint16x16", super().load_row(x, at))
        even = four & splat(255, "uint16", 16)
        odd = four >> splat(8, "uint16", 16)
        return [bind(T.reinterpret("int16x16", each)) for each in (even, odd)]

    def load_weights(self, w: Expr, at: Expr) -> Any:
        return [bind(load(w, at + 16 * i, 16)) for i in range(2)]

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        for each, weights in zip(x, w, strict=True):
            total = total + intrinsic("llvm.x86.avx2.pmadd.wd", "int32x8", each, weights)
        return total

    def interleave(self, groups: np.ndarray) -> np.ndarray:
        """(..., lanes, 4) to (..., 2, lanes, 2): the even elements of all lanes, then the odd."""
        return groups.reshape(*groups.shape[:-1], 2, 2).transpose(
            *range(groups.ndim - 2), groups.ndim, groups.ndim - 2, groups.ndim - 1
        )


class AvxVnni(_Avx2Int8):
    """int8 with AVX-VNNI: vpdpbusd, eight times four products of u8 and s8 added to 32 bits."""

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        return intrinsic("llvm.x86.avx512.vpdpbusd.256", "int32x8", total, x, w)
