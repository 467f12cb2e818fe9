"""x86-64-v3: 16 registers of 256 bits, and no exact dot product of bytes.

vpmaddubsw saturates in 16 bits, so activations and weights are kept in 16 bits, where vpmaddwd
folds two of them exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import (
    Arithmetic,
    FloatArithmetic,
    interleave_pairs,
    requantised,
)
from targets.operators.emit import bind, intrinsic, join, load


class Avx2Float(FloatArithmetic):
    """fp32."""

    lanes = 8
    registers = 16
    tile = (5, 2)
    pixels = 3
    wide = 8


class Avx2Int8(Arithmetic):
    """int8 in 16 bits: two vpmaddwd for four elements of K."""

    lanes = 8
    depth = 4
    step = 4
    stored = "int16"
    weight = "int16"
    accumulator = "int32"
    registers = 16
    tile = (5, 2)
    pixels = 3
    wide = 8

    def load_row(self, x: Expr, at: Expr) -> Any:
        pairs = [T.reinterpret("int32", load(x, at + 2 * i, 2)) for i in range(2)]
        return [bind(T.reinterpret("int16x16", T.broadcast(pair, 8))) for pair in pairs]

    def operand(self, row: Any, group: int) -> Any:
        return row

    def load_weights(self, w: Expr, at: Expr) -> Any:
        return [bind(load(w, at + 16 * i, 16)) for i in range(2)]

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        for pair, weights in zip(x, w, strict=True):
            total = total + intrinsic("llvm.x86.avx2.pmadd.wd", "int32x8", pair, weights)
        return total

    def finish(self, totals: Sequence[Expr], scales: Sequence[Expr], zero: int) -> Expr:
        stored = [requantised(t, s, zero, 8) for t, s in zip(totals, scales, strict=True)]
        return T.cast(join(stored, 8), f"int16x{8 * len(stored)}")

    def interleave(self, groups: np.ndarray) -> np.ndarray:
        return interleave_pairs(groups)
