"""Propose, attend, decode and softmax: from a level's two maps to its boxes and scores.

A box is read once and nothing is written between its stages.
"""

from __future__ import annotations

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from edge_passd.boxes import MAX_SIZE_OFFSET
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
from targets.operators.sampling import Sampler, kept, vectors_of

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
    return vectors_of(layer.head.depth, arithmetic) * arithmetic.lanes


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
                outputs = self._attend(anchor, cy, cx, h, w)
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
        centre = T.cast(row, "float32") + dy, T.cast(column, "float32") + dx
        return tuple(_opaque(each) for each in (*centre, h, w))

    def _attend(self, anchor: Index, cy: Expr, cx: Expr, h: Expr, w: Expr) -> Expr:
        """A buffer with the D outputs of the offset convolution, bias included."""
        sample = Sampler(self.arithmetic, self.layer.projected, self.projected, self.head.depth)
        outputs = local(self.width, "float32")
        for v, values in enumerate(sample(anchor, cy, cx, h, w)):
            bias = load(self.bias, anchor * self.width + v * self.lanes, self.lanes)
            store(outputs, v * self.lanes, values + bias, self.lanes)
        return outputs

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
            highest = T.max(highest, values)
        highest = bind(intrinsic("llvm.vector.reduce.fmax", "float32", highest))
        powers = [
            _opaque(exp(values - T.broadcast(highest, lanes), lanes), lanes) for values in logits
        ]
        total = powers[0]
        for values in powers[1:]:
            total = total + values
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


def _opaque(values: Expr, lanes: int = 1) -> Expr:
    """float32 values that TVM cannot see through.

    Its simplifier puts what is bound in place of each use, and takes seconds where one long formula
    leads to the next.
    """
    return load(kept(values, "float32", lanes), 0, lanes)
