"""The pyramid's top-down step: a lateral map plus the coarser one, upsampled to the nearest."""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.graph import Merge, Tensor
from targets.isa.arithmetic import Arithmetic, saturated
from targets.layout import layout_of, stored_zero
from targets.operators.border import fill_border
from targets.operators.emit import Argument, function, intrinsic, load, splat, store


def merge(layer: Merge, arithmetic: Arithmetic) -> tirx.PrimFunc:
    """f(lateral, top, y). On integers each step of the sum is as in `targets.reference`.

    Raises ValueError unless `lateral` is twice the size of `top`.
    """
    lateral, top, out = (
        layout_of(each, arithmetic) for each in (layer.lateral, layer.top, layer.output)
    )
    if (lateral.height, lateral.width) != (2 * top.height, 2 * top.width):
        raise ValueError(f"{layer.name}: a map of twice the size is wanted")
    lanes = next(n for n in (16, 8, 4) if out.pitch % n == 0)

    def body(a: Expr, b: Expr, y: Expr) -> None:
        with T.parallel(out.height) as row, T.serial(out.width) as column:
            at = lateral.at(row, column), top.at(row // 2, column // 2), out.at(row, column)
            with T.serial(out.pitch // lanes) as block:
                first, second = (
                    load(buffer, start + block * lanes, lanes)
                    for buffer, start in ((a, at[0]), (b, at[1]))
                )
                value = _sum(layer, arithmetic, first, second, lanes)
                store(y, at[2] + block * lanes, value, lanes)
        fill_border(y, out, stored_zero(layer.output, arithmetic))

    return function(
        layer.name,
        [
            Argument(name, arithmetic.stored, layout.size)
            for name, layout in (("lateral", lateral), ("top", top), ("y", out))
        ],
        body,
    )


def _sum(layer: Merge, arithmetic: Arithmetic, lateral: Expr, top: Expr, lanes: int) -> Expr:
    if layer.multipliers is None:
        return lateral + top
    first, second = (
        steps(each, stored_zero(tensor, arithmetic), lanes)
        for each, tensor in ((lateral, layer.lateral), (top, layer.top))
    )
    m_first, m_second = (splat(m, "float32", lanes) for m in layer.multipliers)
    # One multiply-add said outright: left to itself the compiler may fuse either product.
    wide = f"float32x{lanes}"
    total = intrinsic("llvm.fma", wide, first, m_first, second * m_second)
    rounded = T.cast(T.nearbyint(total), f"int32x{lanes}")
    low, zero = arithmetic.lowest, stored_zero(layer.output, arithmetic)
    stored = saturated(rounded, zero, low, low + 255, lanes)
    return T.cast(stored, f"{arithmetic.stored}x{lanes}")


def steps(values: Expr, zero: int, lanes: int) -> Expr:
    """Stored integers as float32 steps from zero."""
    return T.cast(
        T.cast(values, f"int32x{lanes}") - splat(zero, "int32", lanes), f"float32x{lanes}"
    )


def value_of(values: Expr, tensor: Tensor, arithmetic: Arithmetic, lanes: int) -> Expr:
    """Stored values as float32 steps from zero, or float values as they are."""
    if tensor.grid is None:
        return values
    return steps(values, stored_zero(tensor, arithmetic), lanes)
