"""From accumulators to stored activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.graph import Convolution
from targets.isa.arithmetic import Arithmetic
from targets.layout import layout_of, stored_zero
from targets.operators.emit import Index, bind, join, load, splat


def constants(layer: Convolution, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    """Bias with the input's zero point folded in, and multipliers in int8, for all lanes.

    sum (x - z) w + b = sum x w + (b - z sum w), exactly, where x and z are as stored and the border
    holds z.
    """
    zero = stored_zero(layer.input, arithmetic)
    bias = layer.bias - zero * layer.weights.sum((1, 2, 3), layer.bias.dtype)
    arrays = {"bias": bias.astype(arithmetic.accumulator)}
    if layer.multipliers is not None:
        arrays["multipliers"] = layer.multipliers
    pitch = layout_of(layer.output, arithmetic).pitch
    return {name: _padded(array, pitch) for name, array in arrays.items()}


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([values, np.zeros(size - len(values), values.dtype)])


@dataclass(frozen=True)
class Epilogue:
    """zero: of the output, as stored. limits: of a float output. multipliers: buffer, or None."""

    zero: int
    limits: tuple[float, float] | None
    multipliers: Expr | None

    @classmethod
    def of(cls, layer: Convolution, arithmetic: Arithmetic, multipliers: Expr | None) -> Epilogue:
        """What is done to the sums of a layer; multipliers: the buffer with its own, in int8."""
        return cls(stored_zero(layer.output, arithmetic), layer.limits, multipliers)

    def scales(self, arithmetic: Arithmetic, at: Index, vectors: int) -> list[Expr]:
        """The multipliers of `vectors` vectors of outputs from `at`; none in float."""
        if self.multipliers is None:
            return []
        lanes = arithmetic.lanes
        return [bind(load(self.multipliers, at + v * lanes, lanes)) for v in range(vectors)]

    def __call__(
        self, arithmetic: Arithmetic, totals: Sequence[Expr], scales: Sequence[Expr]
    ) -> Expr:
        """One vector of stored values from neighbouring vectors of accumulators."""
        if self.multipliers is not None:
            return arithmetic.finish(totals, scales, self.zero)
        lanes = arithmetic.lanes * len(totals)
        values = join(totals, arithmetic.lanes)
        if self.limits is None:
            return values
        low, high = (splat(limit, "float32", lanes) for limit in self.limits)
        return T.min(T.max(values, low), high)
