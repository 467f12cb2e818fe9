"""From accumulators to stored activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import Arithmetic
from targets.operators.emit import Index, bind, join, load, splat


@dataclass(frozen=True)
class Epilogue:
    """zero: of the output, as stored. limits: of a float output. multipliers: buffer, or None."""

    zero: int
    limits: tuple[float, float] | None
    multipliers: Expr | None

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
