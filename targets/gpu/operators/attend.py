"""Propose, sample, decode and softmax of all levels: one warp for each box, which is read once.

The lanes of a warp lie along a tap's D values, in two or three groups where D is small, which share
the nine taps. Nothing is written between the stages.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from edge_passd.boxes import MAX_SIZE_OFFSET
from edge_passd.offset_sample import TAPS
from targets.gpu.arithmetic import Arithmetic
from targets.gpu.kernel import (
    WARP,
    Block,
    Kernel,
    Memory,
    blocks_for,
    call,
    chosen,
    do,
    kernel,
    quotient,
    registers,
    remainder,
)
from targets.gpu.operators.epilogue import QUAD
from targets.gpu.steps import Heads
from targets.graph import Attend, Tensor
from targets.operators.emit import Index, bind, constant

THREADS = 128
_STEEP = 20.0  # tanh of half of it is 1 in float32
_NEVER = -1e30  # a logit whose softmax is zero


def constants(step: Heads) -> dict[str, np.ndarray]:
    """bias: (A, D). sides: (A,), cells."""
    head = step.levels[0].head
    return {
        "bias": np.array(head.bias, np.float32),
        "sides": np.array(head.sides, np.float32),
    }


def attend(step: Heads, memory: Memory) -> Kernel:
    boxes = sum(level.boxes for level in step.levels)

    def body(block: Block) -> None:
        number = bind(block.number * (THREADS // WARP) + quotient(block.thread, WARP))
        with T.If(number < boxes), T.Then():
            _Box(step, block, number).emit()

    return kernel(step.name, blocks_for(boxes, THREADS // WARP), THREADS, memory, body)


class _Box:
    """Box `number` of all."""

    def __init__(self, step: Heads, block: Block, number: Expr) -> None:
        self.step, self.block, self.number = step, block, number
        self.levels, self.head = step.levels, step.levels[0].head
        self.arithmetic: Arithmetic = block.arithmetic
        self.lane = bind(remainder(block.thread, WARP))
        level: Index = 0
        for i, each in enumerate(self.levels[1:], 1):
            level = tirx.Select(number >= each.first, constant(i), level)
        self.level = bind(level) if len(self.levels) > 1 else 0
        within = bind(number - self._of(lambda level: level.first))
        self.anchor = bind(remainder(within, self.head.anchors))
        self.width = bind(self._of(lambda level: level.projected.width))
        self.height = bind(self._of(lambda level: level.projected.height))
        self.cell = bind(quotient(within, self.head.anchors))
        self.row = bind(quotient(self.cell, self.width))
        self.column = bind(remainder(self.cell, self.width))

    def _of(self, value: Callable[[Attend], int | float], dtype: str = "int32") -> Expr:
        return chosen([value(level) for level in self.levels], self.level, dtype)

    def emit(self) -> None:
        cy, cx, h, w = self._propose()
        values = self._sample(cy, cx, h, w)
        self._decode(values, cy, cx, h, w)
        self._softmax(values)

    def _propose(self) -> tuple[Expr, ...]:
        """cy, cx, h, w of the adjusted box, in cells (eq. 1 and 2)."""
        arithmetic, tensors = self.arithmetic, [level.offsets for level in self.levels]
        raw = registers(QUAD, arithmetic.accumulator)
        pitch = arithmetic.pitch(tensors[0].channels)
        at = (self.cell * pitch + self.anchor * QUAD) * arithmetic.item
        address = T.address_of(
            self.block.workspace()[self.block.bytes_at(tensors, self.level) + at]
        )
        do(f"read4_{arithmetic.tag}", address, T.address_of(raw[0]))
        unit = bind(self._of(lambda level: _unit(level.offsets), "float32"))
        zero = bind(self._of(lambda level: arithmetic.zero(level.offsets)))
        scales = self.head.offset_scales
        dx, dy, dw, dh = (
            bind(self._value(raw[i], zero) * unit * T.float32(scale))
            for i, scale in enumerate(scales)
        )
        sides = self.block.constants("float32")
        side = bind(
            sides[quotient(self.block.constants_at(self.step.name, "sides"), 4) + self.anchor]
        )
        h, w = (bind(side * _exp(_cut(each, MAX_SIZE_OFFSET))) for each in (dh, dw))
        if self.head.clipped:
            # tanh(x) = 1 - 2 / (exp(2x) + 1)
            down, right = (
                T.float32(0.5)
                - call("divide", T.float32(1), _exp(_cut(each + each, _STEEP)) + T.float32(1),
                       dtype="float32")
                for each in (dy, dx)
            )  # fmt: skip
        else:
            down, right = side * dy, side * dx
        cy = bind(T.cast(self.row, "float32") + down)
        cx = bind(T.cast(self.column, "float32") + right)
        return cy, cx, h, w

    def _value(self, stored: Expr, zero: Expr) -> Expr:
        """Steps from zero, or a float as it is."""
        return T.cast(stored - zero, "float32") if self.arithmetic.integers else stored

    def _sample(self, cy: Expr, cx: Expr, h: Expr, w: Expr) -> Expr:
        """The D outputs of the offset convolution, bias included (eq. 4).

        Lane l has number r * 32 + l in register r; those of lanes without one are of no use.
        """
        depth = self.head.depth
        groups = next(n for n in (3, 2, 1) if n * depth <= WARP or n == 1)
        rounds = blocks_for(depth, WARP) if groups == 1 else 1
        group = bind(quotient(self.lane, depth)) if groups > 1 else constant(0)
        own = bind(self.lane - group * depth) if groups > 1 else self.lane
        sums = registers(rounds, "float32")
        for r in range(rounds):
            T.buffer_store(sums, T.float32(0), [r])
        channels = [bind(T.min(own + r * WARP, depth - 1)) for r in range(rounds)]
        with T.serial(blocks_for(TAPS, groups)) as i:
            tap = bind(i * groups + group) if groups > 1 else i
            known = tap
            if groups > 1:  # lanes behind the last group, and a tap too many of two groups
                known = bind(T.min(tap, TAPS - 1))
            rows = self._axis(cy + h * self._third(quotient(known, 3)), self.height)
            columns = self._axis(cx + w * self._third(remainder(known, 3)), self.width)
            for y, down in rows:
                for x, right in columns:
                    share = bind(down * right)
                    place = bind((y * self.width + x) * self._pitch + self._start(known))
                    for r, channel in enumerate(channels):
                        value = self._projected(place + channel)
                        total = sums[r] + self._counted(share, tap, groups) * value
                        T.buffer_store(sums, total, [r])
        return self._with_bias(self._over_groups(sums, groups), channels, rounds)

    def _counted(self, share: Expr, tap: Expr, groups: int) -> Expr:
        """Nothing for a tap too many."""
        if groups == 1 or (TAPS % groups == 0 and groups * self.head.depth == WARP):
            return share
        real = T.And(tap < TAPS, self.lane < groups * self.head.depth)
        return tirx.Select(real, share, T.float32(0))

    def _third(self, index: Expr) -> Expr:
        """-1/3, 0 or 1/3 for 0, 1 or 2."""
        return T.cast(index - 1, "float32") * T.float32(1 / 3)

    def _axis(self, at: Expr, cells: Expr) -> list[tuple[Expr, Expr]]:
        """The two neighbouring cells of a coordinate, each with its weight: 0 outside the map.

        Clipping beyond one cell outside, where every corner is zero anyway, keeps them finite.
        """
        limit = T.cast(cells + 1, "float32")
        at = bind(T.min(T.max(at, T.float32(-2)), limit))
        below = bind(call("floorf", at, dtype="float32"))
        part = bind(at - below)
        low = bind(T.cast(below, "int32"))
        found = []
        for index, weight in ((low, T.float32(1) - part), (low + 1, part)):
            nearest = bind(T.min(T.max(index, 0), cells - 1))
            inside = tirx.EQ(index, nearest)
            found.append((nearest, bind(tirx.Select(inside, weight, T.float32(0)))))
        return found

    @property
    def _pitch(self) -> int:
        return self.arithmetic.pitch(self.levels[0].projected.channels)

    def _start(self, tap: Expr) -> Expr:
        """Of a tap's values in a pixel."""
        return (self.anchor * TAPS + tap) * self.head.depth

    def _projected(self, index: Expr) -> Expr:
        arithmetic, tensors = self.arithmetic, [level.projected for level in self.levels]
        dtype = {"f32": "float32", "f16": "int16", "s8": "int8"}[arithmetic.tag]
        start = quotient(self.block.bytes_at(tensors, self.level), arithmetic.item)
        value = self.block.workspace(dtype)[start + index]
        if arithmetic.tag == "f16":
            return call("half_as_float", value, dtype="float32")
        zero = self._of(lambda level: arithmetic.zero(level.projected))
        return self._value(T.cast(value, "int32") if arithmetic.integers else value, zero)

    def _over_groups(self, sums: Expr, groups: int) -> Expr:
        """The groups' sums together, in the lanes of the first."""
        if groups == 1:
            return sums
        total = sums[0]
        for group in range(1, groups):
            other = self.lane + group * self.head.depth
            total = total + call("shuffle", sums[0], remainder(other, WARP), dtype="float32")
        whole = registers(1, "float32")
        T.buffer_store(whole, total, [0])
        return whole

    def _with_bias(self, sums: Expr, channels: list[Expr], rounds: int) -> Expr:
        unit = bind(self._of(lambda level: _unit(level.projected), "float32"))
        start = quotient(self.block.constants_at(self.step.name, "bias"), 4)
        biases = self.block.constants("float32")
        values = registers(rounds, "float32")
        for r, channel in enumerate(channels):
            bias = biases[start + self.anchor * self.head.depth + channel]
            T.buffer_store(values, call("multiply_add", sums[r], unit, bias, dtype="float32"), [r])
        return values

    def _decode(self, values: Expr, cy: Expr, cx: Expr, h: Expr, w: Expr) -> None:
        """Offsets of the attend stage against the adjusted box (eq. 1); corners in pixels."""
        stride = bind(self._of(lambda level: level.stride, "float32"))
        dx, dy, dw, dh = (
            bind(
                call("shuffle", values[(self.head.classes + i) // WARP],
                     (self.head.classes + i) % WARP, dtype="float32") * T.float32(scale)
            )
            for i, scale in enumerate(self.head.attend_scales)
        )  # fmt: skip
        corners = registers(QUAD, "float32")
        for i, (centre, side, shift, size) in enumerate(((cx, w, dx, dw), (cy, h, dy, dh))):
            middle = bind((centre + T.float32(0.5) + shift * side) * stride)
            half = bind(side * _exp(_cut(size, MAX_SIZE_OFFSET)) * T.float32(0.5) * stride)
            T.buffer_store(corners, middle - half, [i])
            T.buffer_store(corners, middle + half, [i + 2])
        with T.If(tirx.EQ(self.lane, 0)), T.Then():
            do("write4_f32", self.block.boxes(self.number * QUAD), T.address_of(corners[0]))

    def _softmax(self, values: Expr) -> None:
        """Over the C logits that lead the values."""
        classes = self.head.classes
        rounds = blocks_for(classes, WARP)
        logits = [
            bind(
                tirx.Select(self.lane + r * WARP < classes, values[r], T.float32(_NEVER))
            )
            for r in range(rounds)
        ]  # fmt: skip
        highest = self._over_lanes(logits, T.max)
        powers = [bind(_exp(logit - highest)) for logit in logits]
        total = self._over_lanes(powers, lambda a, b: a + b)
        for r, power in enumerate(powers):
            share = call("divide", power, total, dtype="float32")
            with T.If(self.lane + r * WARP < classes), T.Then():
                self.block.set_score(self.number * classes + self.lane + r * WARP, share)

    def _over_lanes(self, values: list[Expr], reduce: Callable[[Expr, Expr], Expr]) -> Expr:
        """The same result in every lane."""
        result = registers(1, "float32")
        T.buffer_store(result, values[0], [0])
        for value in values[1:]:
            T.buffer_store(result, reduce(result[0], value), [0])
        mask = WARP // 2
        while mask:
            other = bind(call("shuffle_xor", result[0], mask, dtype="float32"))
            T.buffer_store(result, reduce(result[0], other), [0])
            mask //= 2
        return bind(result[0])


def _unit(tensor: Tensor) -> float:
    return 1.0 if tensor.grid is None else tensor.grid.scale


def _exp(value: Expr) -> Expr:
    return call("exponential", value, dtype="float32")


def _cut(value: Expr, limit: float) -> Expr:
    return T.min(T.max(value, T.float32(-limit)), T.float32(limit))
