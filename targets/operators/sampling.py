"""The sampling stage of the offset convolution: behind the projection, before the bias.

It follows `edge_passd.offset_sample`: each of a tap's four corners counts as zero on its own where
it lies outside the map, and a tap's D values lie tightly behind each other, whatever D is. The nine
taps' coordinates and weights are computed side by side in the lanes of a vector; then the values of
one corner after the other are loaded, D in the lanes, and added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from edge_passd.offset_sample import TAP_COLUMNS, TAP_ROWS, TAPS
from targets.graph import Tensor
from targets.isa.arithmetic import Arithmetic
from targets.layout import layout_of
from targets.operators.emit import (
    Argument,
    Index,
    bind,
    function,
    load,
    local,
    splat,
    store,
    vector,
)
from targets.operators.merge import value_of


def vectors_of(depth: int, arithmetic: Arithmetic) -> int:
    """How many vectors hold D values."""
    return -(-depth // arithmetic.lanes)


@dataclass(frozen=True)
class Sampler:
    """Samples one level. projected: buffer of `tensor`, (H, W, A * 9 * D). depth: D."""

    arithmetic: Arithmetic
    tensor: Tensor
    projected: Expr
    depth: int

    def __call__(self, anchor: Index, cy: Expr, cx: Expr, h: Expr, w: Expr) -> list[Expr]:
        """The D sums over all taps of one box, in vectors; the last may end with anything.

        cy, cx, h, w: centre and size of the box in cells, float32 (eq. 4).
        """
        lanes = self.arithmetic.lanes
        places, weights = self._corners(anchor, cy, cx, h, w)
        # A chain of additions for each corner, as long as the registers last: one alone would wait
        # for itself.
        vectors = range(vectors_of(self.depth, self.arithmetic))
        chains = max(1, min(len(places), self.arithmetic.registers // 2 // len(vectors)))
        totals = [[self._zeros() for _ in vectors] for _ in range(chains)]
        with T.serial(TAPS) as tap:
            for corner, (place, weight) in enumerate(zip(places, weights, strict=True)):
                at, share = bind(place[tap]), bind(T.broadcast(weight[tap], lanes))
                for v, total in zip(vectors, totals[corner % chains], strict=True):
                    values = load(self.projected, at + v * lanes, lanes)
                    values = value_of(values, self.tensor, self.arithmetic, lanes)
                    store(total, 0, load(total, 0, lanes) + share * values, lanes)
        unit = 1.0 if self.tensor.grid is None else self.tensor.grid.scale
        sums = []
        for first, *others in zip(*totals, strict=True):
            whole = load(first, 0, lanes)
            for other in others:
                whole = whole + load(other, 0, lanes)
            sums.append(bind(whole * splat(unit, "float32", lanes)))
        return sums

    def _zeros(self) -> Expr:
        buffer = local(self.arithmetic.lanes, "float32")
        store(buffer, 0, splat(0.0, "float32", self.arithmetic.lanes), self.arithmetic.lanes)
        return buffer

    @property
    def _lanes(self) -> int:
        """All taps side by side, in whole vectors."""
        return -(-TAPS // self.arithmetic.lanes) * self.arithmetic.lanes

    def _corners(
        self, anchor: Index, cy: Expr, cx: Expr, h: Expr, w: Expr
    ) -> tuple[list[Expr], list[Expr]]:
        """Of each of the four corners two buffers, by tap: index of its values, and weight."""
        layout, lanes = layout_of(self.tensor, self.arithmetic), self._lanes
        rows, row_weights = self._axis(cy, h, TAP_ROWS, self.tensor.height)
        columns, column_weights = self._axis(cx, w, TAP_COLUMNS, self.tensor.width)
        base = T.broadcast(bind(layout.at(0, 0) + anchor * (TAPS * self.depth)), lanes)
        within = vector([min(t, TAPS - 1) * self.depth for t in range(lanes)], "int32")
        places, weights = [], []
        for i in range(2):
            for j in range(2):
                down = rows[i] * splat(layout.row, "int32", lanes)
                right = columns[j] * splat(layout.pitch, "int32", lanes)
                places.append(kept(down + right + within + base, "int32", lanes))
                weights.append(kept(row_weights[i] * column_weights[j], "float32", lanes))
        return places, weights

    def _axis(
        self, centre: Expr, side: Expr, taps: np.ndarray, cells: int
    ) -> tuple[list[Expr], list[Expr]]:
        """Along one axis, for all taps: indices inside the map, and weights, 0 for those outside.

        A lower and a higher corner each. Clipping beyond one cell outside, where every corner is
        zero anyway, keeps the indices finite.
        """
        lanes = self._lanes
        parts = [*(taps / 3), *[0.0] * (lanes - TAPS)]
        at = T.broadcast(centre, lanes) + T.broadcast(side, lanes) * vector(parts, "float32")
        bounds = (splat(limit, "float32", lanes) for limit in (-2.0, cells + 1.0))
        at = bind(T.min(T.max(at, next(bounds)), next(bounds)))
        below = bind(T.floor(at))
        part = bind(at - below)
        low = bind(T.cast(below, f"int32x{lanes}"))
        zero, last = splat(0, "int32", lanes), splat(cells - 1, "int32", lanes)
        indices, weights = [], []
        for index, weight in (
            (low, splat(1.0, "float32", lanes) - part),
            (bind(low + splat(1, "int32", lanes)), part),
        ):
            nearest = bind(T.min(T.max(index, zero), last))
            inside = tirx.EQ(index, nearest)
            indices.append(nearest)
            weights.append(bind(tirx.Select(inside, weight, splat(0.0, "float32", lanes))))
        return indices, weights


def offset_sample(
    tensor: Tensor, anchors: int, depth: int, arithmetic: Arithmetic
) -> tirx.PrimFunc:
    """f(projected: `tensor`, boxes: (H, W, A, 4) of cy cx h w in cells, y: (H, W, A, D)).

    The operator alone, as `edge_passd.offset_sample`; models get it within `operators.attend`.
    """
    cells, lanes = tensor.height * tensor.width, arithmetic.lanes

    def body(projected: Expr, boxes: Expr, y: Expr) -> None:
        sample = Sampler(arithmetic, tensor, projected, depth)
        with T.parallel(cells) as cell, T.serial(anchors) as anchor:
            box = bind(cell * anchors + anchor)
            sums = sample(anchor, *(bind(boxes[box * 4 + i]) for i in range(4)))
            for v, values in enumerate(sums):
                whole = min(lanes, depth - v * lanes)
                part = kept(values, "float32", lanes)
                if whole == lanes:
                    store(y, box * depth + v * lanes, load(part, 0, lanes), lanes)
                else:  # a whole vector would run into the next box
                    for i in range(whole):
                        store(y, box * depth + v * lanes + i, load(part, i, 1), 1)

    return function(
        "offset_sample",
        [
            Argument("projected", arithmetic.stored, layout_of(tensor, arithmetic).size),
            Argument("boxes", "float32", cells * anchors * 4),
            Argument("y", "float32", cells * anchors * depth),
        ],
        body,
    )


def kept(values: Expr, dtype: str, lanes: int) -> Expr:
    """A buffer with the values, to be read lane by lane."""
    buffer = local(lanes, dtype)
    store(buffer, 0, values, lanes)
    return buffer
