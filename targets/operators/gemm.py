"""The micro-kernel of every convolution: a few pixels times a few vectors of outputs.

Accumulators stay in registers over the whole of K, which for an implicit GEMM is a few segments
that lie apart in the input (the three rows under a 3x3 window), each contiguous because its pixels
and channels are neighbours in NHWC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import Product
from targets.operators.emit import Index, constant, load, local, store


@dataclass(frozen=True)
class Reduction:
    """The K axis: `segments` of `length` elements (a multiple of the depth), `stride` apart."""

    segments: int
    length: int
    stride: int

    @property
    def size(self) -> int:
        return self.segments * self.length


class Registers:
    """A block of accumulators: `rows` pixels by `vectors` of outputs.

    A buffer each, so that LLVM sees registers in them. There are as many rows as the product takes
    at once; what is beyond `rows` is dropped.
    """

    def __init__(self, product: Product, rows: int, vectors: int) -> None:
        self.rows, self.vectors, self.lanes = rows, vectors, product.lanes
        held = -(-rows // product.rows) * product.rows
        self._buffers = [local(product.lanes, product.accumulator) for _ in range(held * vectors)]

    def __getitem__(self, at: tuple[int, int]) -> Expr:
        return load(self._buffers[at[0] * self.vectors + at[1]], 0, self.lanes)

    def __setitem__(self, at: tuple[int, int], value: Expr) -> None:
        store(self._buffers[at[0] * self.vectors + at[1]], 0, value, self.lanes)


def start(registers: Registers, bias: Expr, at: Index) -> None:
    """Every row starts at the bias of its outputs."""
    for vector in range(registers.vectors):
        value = T.Bind(load(bias, at + vector * registers.lanes, registers.lanes))
        for row in range(registers.rows):
            registers[row, vector] = value


def accumulate(
    product: Product,
    registers: Registers,
    x: Expr,
    rows: Sequence[Index],
    w: Expr,
    panel: Index,
    reduction: Reduction,
) -> None:
    """registers += rows of x times the panel of packed weights that begins at `panel`.

    rows: index in x of the first element of each row.
    """
    together = product.rows
    # An incomplete group multiplies its last row again.
    rows = [*rows, *[rows[-1]] * (-len(rows) % together)]
    depth, width = product.depth, registers.vectors * product.lanes * product.depth
    groups, per_step = reduction.length // depth, product.step // depth

    def step(segment: Index, group: Index, count: int) -> None:
        """`count` groups of K, of one load from every row."""
        offset = segment * reduction.stride + group * depth
        loaded = [product.load_row(x, row + offset) for row in rows]
        for each in range(count):
            at = panel + (segment * groups + group + each) * width
            weights = [
                product.load_weights(w, at + v * product.lanes * depth)
                for v in range(registers.vectors)
            ]
            for first in range(0, len(rows), together):
                operand = product.operand(_several(loaded[first : first + together]), each)
                for v, weight in enumerate(weights):
                    block = [(first + i, v) for i in range(together)]
                    totals = product.dot(_several([registers[at] for at in block]), operand, weight)
                    for at, total in zip(block, totals if together > 1 else [totals], strict=True):
                        registers[at] = total

    def segment_of(segment: Index) -> None:
        whole, rest = divmod(groups, per_step)
        if whole:
            with T.serial(whole) as i:
                step(segment, i * per_step, per_step)
        if rest:
            step(segment, constant(whole * per_step), rest)

    _exchange(product, registers, len(rows))
    if reduction.segments == 1:
        segment_of(constant(0))
    else:
        with T.serial(reduction.segments) as segment:
            segment_of(segment)
    _exchange(product, registers, len(rows))


def _several(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _exchange(product: Product, registers: Registers, rows: int) -> None:
    """Between a vector for each row and what the product adds to."""
    if product.rows == 1:
        return
    for first in range(0, rows, product.rows):
        for v in range(registers.vectors):
            block = [(first + i, v) for i in range(product.rows)]
            values = [T.Bind(each) for each in product.exchanged([registers[at] for at in block])]
            for at, value in zip(block, values, strict=True):
                registers[at] = value
