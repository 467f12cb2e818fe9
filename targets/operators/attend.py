"""Propose, sample, decode and softmax: from a level's two maps to its boxes and scores.

A box is read once and nothing is written between its stages. The sampling follows
`edge_passd.offset_sample`: each corner outside the map counts as zero on its own, and a tap's D
values lie tightly behind each other, whatever D.
"""

from __future__ import annotations

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from edge_passd.boxes import MAX_SIZE_OFFSET
from edge_passd.offset_sample import TAP_COLUMNS, TAP_ROWS, TAPS
from targets.graph import Attend
from targets.isa.arithmetic import Arithmetic
from targets.layout import layout_of
from targets.operators.emit import (
    Argument,
    Index,
    bind,
    constant,
    function,
    intrinsic,
    join,
    lane,
    load,
    local,
    splat,
    store,
    vector,
)
from targets.operators.maths import exp
from targets.operators.merge import value_of

_NEVER = -1e30  # a logit whose softmax is zero
_STEEP = 20.0  # tanh of half of it is 1 in float32


def constants(layer: Attend, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    """bias: (A, D) in whole vectors. sides: (A,), cells."""
    head = layer.head
    bias = np.zeros((head.anchors, _width(layer, arithmetic)), np.float32)
    bias[:, : head.depth] = head.bias
    return {"bias": bias.ravel(), "sides": np.array(head.sides, np.float32)}


def attend(layer: Attend, arithmetic: Arithmetic, boxes: int) -> tirx.PrimFunc:
    """f(offsets, projected, bias, sides, boxes: (boxes, 4), scores: (boxes, C))."""
    return function(
        layer.name,
        [
            Argument("offsets", arithmetic.stored, layout_of(layer.offsets, arithmetic).size),
            Argument("projected", arithmetic.stored, layout_of(layer.projected, arithmetic).size),
            *(
                Argument(name, str(array.dtype), array.size)
                for name, array in constants(layer, arithmetic).items()
            ),
            Argument("boxes", "float32", boxes * 4),
            Argument("scores", "float32", boxes * layer.head.classes),
        ],
        lambda *buffers: _Level(layer, arithmetic, *buffers).emit(),
    )


def _width(layer: Attend, arithmetic: Arithmetic) -> int:
    """D in whole vectors."""
    return -(-layer.head.depth // arithmetic.lanes) * arithmetic.lanes


class _Level:
    def __init__(
        self, layer: Attend, arithmetic: Arithmetic,
        offsets: Expr, projected: Expr, bias: Expr, sides: Expr, boxes: Expr, scores: Expr,
    ) -> None:  # fmt: skip
        self.layer, self.head, self.arithmetic = layer, layer.head, arithmetic
        self.lanes, self.width = arithmetic.lanes, _width(layer, arithmetic)
        self.offsets, self.projected, self.bias, self.sides = offsets, projected, bias, sides
        self.boxes, self.scores = boxes, scores

    def emit(self) -> None:
        height, width = self.layer.projected.height, self.layer.projected.width
        with T.parallel(height) as row, T.serial(width) as column:  # noqa: SIM117
            with T.serial(self.head.anchors) as anchor:
                cell = row * width + column
                box = bind(cell * self.head.anchors + anchor + self.layer.first)
                cy, cx, h, w = self._propose(row, column, anchor)
                outputs = self._sample(anchor, cy, cx, h, w)
                self._decode(box, load(outputs, self.head.classes, 4), cy, cx, h, w)
                self._softmax(box, outputs)

    def _propose(self, row: Index, column: Index, anchor: Index) -> tuple[Expr, ...]:
        """cy, cx, h, w of the adjusted box, in cells (eq. 1 and 2)."""
        tensor = self.layer.offsets
        at = layout_of(tensor, self.arithmetic).at(row, column) + anchor * 4
        steps = value_of(load(self.offsets, at, 4), tensor, self.arithmetic, 4)
        unit = 1.0 if tensor.grid is None else tensor.grid.scale
        d = bind(steps * vector([unit * s for s in self.head.offset_scales], "float32"))
        side = bind(self.sides[anchor])
        size = splat(MAX_SIZE_OFFSET, "float32", 2)
        shift, log = lane_pair(d, 0), T.min(T.max(lane_pair(d, 2), T.float32(0) - size), size)
        if self.head.clipped:
            # tanh(x) = 1 - 2 / (exp(2x) + 1); all four exponentials at once.
            steep = splat(_STEEP, "float32", 2)
            doubled = T.min(T.max(shift + shift, T.float32(0) - steep), steep)
            powers = exp(join([doubled, log], 2), 4)
            halves = [T.float32(0.5) - T.float32(1) / (lane(powers, i) + T.float32(1))
                      for i in range(2)]  # fmt: skip
            dx, dy = (bind(half) for half in halves)
            w, h = (bind(side * lane(powers, i)) for i in (2, 3))
        else:
            powers = exp(log, 2)
            dx, dy = (bind(side * lane(shift, i)) for i in range(2))
            w, h = (bind(side * lane(powers, i)) for i in range(2))
        return (
            bind(T.cast(row, "float32") + dy), bind(T.cast(column, "float32") + dx), h, w
        )  # fmt: skip

    def _sample(self, anchor: Index, cy: Expr, cx: Expr, h: Expr, w: Expr) -> Expr:
        """A buffer with the D outputs: bias plus the bilinear samples of all taps (eq. 4)."""
        tensor = self.layer.projected
        layout = layout_of(tensor, self.arithmetic)
        rows, row_weights = self._corners(cy, h, TAP_ROWS, tensor.height)
        columns, column_weights = self._corners(cx, w, TAP_COLUMNS, tensor.width)
        lanes = self._tap_lanes
        base = bind(layout.at(0, 0) + anchor * (TAPS * self.head.depth))
        within = vector([min(t, TAPS - 1) * self.head.depth for t in range(lanes)], "int32")
        places, weights = [], []
        for i in range(2):
            for j in range(2):
                place = (
                    rows[i] * splat(layout.row, "int32", lanes)
                    + columns[j] * splat(layout.pitch, "int32", lanes)
                    + within + T.broadcast(base, lanes)
                )  # fmt: skip
                places.append(_kept(place, "int32", lanes))
                weights.append(_kept(row_weights[i] * column_weights[j], "float32", lanes))

        # A chain of additions for each corner, as long as the registers last: one alone would wait
        # for itself.
        vectors = range(self.width // self.lanes)
        chains = max(1, min(len(places), self.arithmetic.registers // 2 // len(vectors)))
        totals = [[self._zeros() for _ in vectors] for _ in range(chains)]
        with T.serial(TAPS) as tap:
            for corner, (place, weight) in enumerate(zip(places, weights, strict=True)):
                at, share = bind(place[tap]), bind(T.broadcast(weight[tap], self.lanes))
                for v, total in zip(vectors, totals[corner % chains], strict=True):
                    values = value_of(
                        load(self.projected, at + v * self.lanes, self.lanes),
                        tensor, self.arithmetic, self.lanes,
                    )  # fmt: skip
                    store(total, 0, load(total, 0, self.lanes) + share * values, self.lanes)

        outputs = local(self.width, "float32")
        unit = splat(1.0 if tensor.grid is None else tensor.grid.scale, "float32", self.lanes)
        for v, *of_vector in zip(vectors, *totals, strict=True):
            bias = load(self.bias, anchor * self.width + v * self.lanes, self.lanes)
            whole = sum((load(each, 0, self.lanes) for each in of_vector[1:]),
                        start=load(of_vector[0], 0, self.lanes))  # fmt: skip
            store(outputs, v * self.lanes, whole * unit + bias, self.lanes)
        return outputs

    def _zeros(self) -> Expr:
        buffer = local(self.lanes, "float32")
        store(buffer, 0, splat(0.0, "float32", self.lanes), self.lanes)
        return buffer

    @property
    def _tap_lanes(self) -> int:
        """All taps side by side, in whole vectors."""
        return -(-TAPS // self.lanes) * self.lanes

    def _corners(
        self, centre: Expr, side: Expr, taps: np.ndarray, cells: int
    ) -> tuple[list[Expr], list[Expr]]:
        """Along one axis, for all taps: indices inside the map, and weights, 0 for those outside.

        A lower and a higher corner each. Clipping beyond one cell outside, where every corner is
        zero anyway, keeps the indices finite.
        """
        lanes = self._tap_lanes
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

    def _decode(self, box: Expr, raw: Expr, cy: Expr, cx: Expr, h: Expr, w: Expr) -> None:
        """Offsets of the attend stage against the adjusted box (eq. 1); corners in pixels."""
        stride = T.float32(self.layer.stride)
        d = bind(raw * vector(self.head.attend_scales, "float32"))
        limit = splat(MAX_SIZE_OFFSET, "float32", 2)
        powers = exp(T.min(T.max(lane_pair(d, 2), T.float32(0) - limit), limit), 2)
        corners = []
        for i, (centre, side) in enumerate(((cx, w), (cy, h))):
            middle = bind((centre + T.float32(0.5) + lane(d, i) * side) * stride)
            half = bind(side * lane(powers, i) * T.float32(0.5) * stride)
            corners.append((middle - half, middle + half))
        (x1, x2), (y1, y2) = corners
        store(self.boxes, box * 4, join([x1, y1, x2, y2]), 4)

    def _softmax(self, box: Expr, outputs: Expr) -> None:
        """Over the C logits that lead `outputs`; their place is used up."""
        classes, lanes = self.head.classes, self.lanes
        logits = []
        for start in range(0, classes, lanes):
            values = load(outputs, start, lanes)
            if start + lanes > classes:
                real = vector([float(start + i < classes) for i in range(lanes)], "float32")
                never = splat(_NEVER, "float32", lanes)
                values = tirx.Select(real > splat(0.5, "float32", lanes), values, never)
            logits.append(bind(values))
        highest = logits[0]
        for values in logits[1:]:
            # Bound one by one: TVM's simplifier takes exponential time for nested maxima.
            highest = bind(T.max(highest, values))
        highest = bind(intrinsic("llvm.vector.reduce.fmax", "float32", highest))
        powers = [exp(values - T.broadcast(highest, lanes), lanes) for values in logits]
        total = powers[0]
        for values in powers[1:]:
            total = bind(total + values)
        share = bind(T.float32(1) / self._sum(total))
        at = box * classes
        for i, values in enumerate(powers):
            score = bind(values * T.broadcast(share, lanes))
            count = min(lanes, classes - i * lanes)
            if count == lanes:
                store(self.scores, at + i * lanes, score, lanes)
            else:  # a whole vector would run into the next box, which another thread may write
                for j in range(count):
                    store(self.scores, at + i * lanes + j, lane(score, j), 1)

    def _sum(self, values: Expr) -> Expr:
        """Of all lanes, in halves."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            halves = (
                tirx.Shuffle([values], [constant(first + i) for i in range(lanes)])
                for first in (0, lanes)
            )
            values = bind(next(halves) + next(halves))
        return values


def lane_pair(values: Expr, start: int) -> Expr:
    """Two neighbouring lanes."""
    return tirx.Shuffle([values], [constant(start), constant(start + 1)])


def _kept(values: Expr, dtype: str, lanes: int) -> Expr:
    """A buffer with the values, to be read lane by lane."""
    buffer = local(lanes, dtype)
    store(buffer, 0, values, lanes)
    return buffer
