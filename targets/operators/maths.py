"""exp on vectors: the library's would be called lane by lane."""

from __future__ import annotations

import math

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.operators.emit import bind, splat

LOWEST, HIGHEST = -87.0, 88.0  # beyond, float32 has no normal result

# ln 2 in two parts, the first with so few digits that its product with the exponent is exact.
_LN2_HIGH = float(np.float32(0.693359375))
_LN2_LOW = math.log(2) - _LN2_HIGH

# Of (exp(r) - 1 - r) / r^2 on |r| <= ln 2 / 2, in Chebyshev points: 2e-8 relative.
_DEGREE = 5


def _coefficients() -> list[float]:
    """Lowest power first."""
    r = np.cos((np.arange(64) + 0.5) * np.pi / 64) * math.log(2) / 2
    values = (np.expm1(r) - r) / r**2
    return np.polynomial.Polynomial.fit(r, values, _DEGREE).convert().coef.tolist()


def exp(x: Expr, lanes: int) -> Expr:
    """exp(x) to 1e-7 relative, x float32 cut to [LOWEST, HIGHEST]."""

    def same(value: float) -> Expr:
        return splat(value, "float32", lanes)

    x = bind(T.min(T.max(x, same(LOWEST)), same(HIGHEST)))
    power = bind(T.nearbyint(x * same(1 / math.log(2))))
    r = bind(x - power * same(_LN2_HIGH) - power * same(_LN2_LOW))
    *lower, total = (same(c) for c in _coefficients())
    for coefficient in reversed(lower):
        total = total * r + coefficient
    mantissa = total * (r * r) + r + same(1.0)
    biased = T.cast(power, _wide("int32", lanes)) + splat(127, "int32", lanes)
    shifted = T.shift_left(biased, splat(23, "int32", lanes))
    return bind(mantissa * T.reinterpret(_wide("float32", lanes), shifted))


def _wide(dtype: str, lanes: int) -> str:
    return f"{dtype}x{lanes}" if lanes > 1 else dtype
