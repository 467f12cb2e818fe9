"""How one precision is computed on one instruction set: what every operator's schedule asks for.

A schedule is written once, over these few primitives. `lanes` results are accumulated side by side
in a vector register; one `dot` folds `depth` neighbouring input channels into each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.operators.emit import bind, load, splat


class Product(ABC):
    """How the micro-kernel multiplies rows of one dtype by weights.

    lanes: accumulators in a vector. depth: elements of K that one dot folds. step: elements of a
    row that are loaded at once. stored: dtype of rows in memory; weight, accumulator: dtypes. rows:
    that one dot multiplies at once.
    """

    lanes: ClassVar[int]
    depth: ClassVar[int]
    step: ClassVar[int]
    stored: ClassVar[str]
    weight: ClassVar[str]
    accumulator: ClassVar[str]
    rows: ClassVar[int] = 1

    @abstractmethod
    def load_row(self, x: Expr, at: Expr) -> Any:
        """`step` elements of one row of the input, for `operand`."""

    @abstractmethod
    def operand(self, row: Any, group: int) -> Any:
        """The `depth` elements of `group` in what `load_row` gave, in every lane, for `dot`.

        row: where a dot takes several rows, the list of them.
        """

    def load_weights(self, w: Expr, at: Expr) -> Any:
        """The weights of one vector for `depth` elements of K, for `dot`."""
        return bind(load(w, at, self.lanes * self.depth))

    @abstractmethod
    def dot(self, total: Any, x: Any, w: Any) -> Any:
        """total + the products of `depth` elements, for every lane.

        total: where a dot takes several rows, the list of theirs, `exchanged`.
        """

    def exchanged(self, totals: Sequence[Expr]) -> Sequence[Expr]:
        """From a vector for each of several rows to what their dot adds to, and back."""
        return totals

    def pack(self, weights: np.ndarray, vectors: int) -> np.ndarray:
        """(K, N) weights, K a multiple of `depth`, to the order in which the kernel reads them.

        N is cut into vectors of `lanes` (the last filled with zeros), these into blocks of
        `vectors` (the last may be smaller); inside a block K runs outermost.
        """
        k, n = weights.shape
        width = -(-n // self.lanes) * self.lanes
        padded = np.zeros((k, width), weights.dtype)
        padded[:, :n] = weights
        groups = padded.reshape(k // self.depth, self.depth, width // self.lanes, self.lanes)
        groups = groups.transpose(2, 0, 3, 1)  # vector, group of K, lane, depth
        blocks = [
            self.interleave(groups[first : first + vectors].swapaxes(0, 1)).ravel()
            for first in range(0, len(groups), vectors)
        ]
        return np.concatenate(blocks).astype(self.weight)

    def interleave(self, groups: np.ndarray) -> np.ndarray:
        """(..., lanes, depth) to the order inside one vector of weights."""
        return groups


class Arithmetic(Product):
    """Primitives of one precision on one instruction set.

    stored: dtype of activations. shift: what is added to an ONNX activation (u8) to store it. wide:
    channels that the depthwise operator handles at once. tile: rows and vectors of a micro-kernel
    that fill the registers, of which there are `registers`. pixels: that the depthwise operator
    handles at once.
    """

    wide: ClassVar[int]
    registers: ClassVar[int]
    tile: ClassVar[tuple[int, int]]
    pixels: ClassVar[int]
    shift: ClassVar[int] = 0

    @property
    def lowest(self) -> int:
        """The smallest stored integer; the largest is 255 more."""
        return self.shift

    def for_weights(self, weights: np.ndarray) -> Arithmetic:
        """The one that is exact for a layer with these weights, over the same stored values."""
        return self

    def transformed(self) -> Product | None:
        """What multiplies Winograd's transformed values, into as many lanes; None where the direct
        form is always better.

        Transformed integers need 16 bits: activations are within +-1020, weights within +-1143.
        """
        return None

    @abstractmethod
    def finish(self, totals: Sequence[Expr], scales: Sequence[Expr], zero: int) -> Expr:
        """int32 accumulators to one vector of stored activations.

        Each times its float32 scale, rounded to even, plus `zero` (as stored), saturated.
        """


class FloatArithmetic(Arithmetic):
    """fp32: one fused multiply-add for each element of K."""

    depth = 1
    step = 1
    stored = weight = accumulator = "float32"

    def transformed(self) -> Product | None:
        return self

    def load_row(self, x: Expr, at: Expr) -> Any:
        return bind(T.broadcast(x[at], self.lanes))

    def operand(self, row: Any, group: int) -> Any:
        return row

    def dot(self, total: Expr, x: Any, w: Any) -> Expr:
        return total + x * w

    def finish(self, totals: Sequence[Expr], scales: Sequence[Expr], zero: int) -> Expr:
        raise NotImplementedError("floats lie on no grid")


def interleave_pairs(groups: np.ndarray) -> np.ndarray:
    """(..., lanes, 4) to (..., 2, lanes, 2): for instructions that fold two neighbours."""
    return groups.reshape(*groups.shape[:-1], 2, 2).swapaxes(-3, -2)


def requantised(total: Expr, scale: Expr, zero: int, lanes: int) -> Expr:
    """int32 times float32, rounded to even, plus `zero`, cut to 0..255, as int32.

    Cut before the cast: x86 casts what does not fit in 32 bits to the lowest number of all.
    """
    rounded = T.nearbyint(T.cast(total, f"float32x{lanes}") * scale)
    low, high = (splat(limit - zero, "float32", lanes) for limit in (0, 255))
    cut = T.min(T.max(rounded, low), high)
    return T.cast(cut, f"int32x{lanes}") + splat(zero, "int32", lanes)


def saturated(values: Expr, zero: int, low: int, high: int, lanes: int) -> Expr:
    """int32 plus `zero`, cut to [low, high]."""
    shifted = values + splat(zero, "int32", lanes)
    return T.min(T.max(shifted, splat(low, "int32", lanes)), splat(high, "int32", lanes))
