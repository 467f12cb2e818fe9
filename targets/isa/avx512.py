"""x86-64-v4: 32 registers of 512 bits; int8 with the VNNI extension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import Arithmetic, FloatArithmetic, requantised
from targets.operators.emit import bind, intrinsic, join, load


class Avx512Float(FloatArithmetic):
    """fp32."""

    lanes = 16
    registers = 32
    tile = (10, 2)
    pixels = 5
    wide = 16


class Avx512Vnni(Arithmetic):
    """int8: vpdpbusd, sixteen times four products of u8 and s8 added to 32 bits."""

    lanes = 16
    depth = 4
    step = 4
    stored = "uint8"
    weight = "int8"
    accumulator = "int32"
    registers = 32
    tile = (10, 2)
    pixels = 5
    wide = 16

    def load_row(self, x: Expr, at: Expr) -> Any:
        group = T.reinterpret("int32", load(x, at, 4))
        return bind(T.reinterpret("int8x64", T.broadcast(group, 16)))

    def operand(self, row: Any, group: int) -> Any:
        return row

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        return intrinsic("llvm.x86.avx512.vpdpbusd.512", "int32x16", total, x, w)

    def finish(self, totals: Sequence[Expr], scales: Sequence[Expr], zero: int) -> Expr:
        stored = [requantised(t, s, zero, 16) for t, s in zip(totals, scales, strict=True)]
        return T.cast(join(stored, 16), f"uint8x{16 * len(stored)}")
