"""A depthwise convolution and the 1x1 convolution behind it, as one operator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from targets.graph import Separable
from targets.isa.arithmetic import Arithmetic
from targets.operators.separable import constants, separable
from targets.tiles import Tile
from tests.targets.cases.arrays import in_memory, on_integers, to_write
from tests.targets.cases.case import Case, Cases
from tests.targets.cases.layer import (
    INTEGERS,
    LIMITS,
    Fill,
    Shape,
    generator,
    layer_of,
    result,
)


@dataclass(frozen=True)
class Pair:
    """first: of the depthwise convolution. outputs, tile: of the 1x1 convolution behind it."""

    first: Shape
    outputs: int = 40
    tile: Tile = Tile(4, 2)  # noqa: RUF009
    border: int = 1
    fill: Fill | None = None

    @property
    def second(self) -> Shape:
        first = self.first
        height, width = -(-first.height // first.stride), -(-first.width // first.stride)
        return Shape(
            height, width, first.channels, self.outputs, 1, 1, self.tile, (0, self.border),
            (first.zeros[1], 255 - first.zeros[1]), first.limits,
        )  # fmt: skip


SHAPES = {
    "one_pixel": Pair(Shape(1, 1, 16, None)),
    "one_row": Pair(Shape(1, 7, 48, None), border=0),
    "one_column": Pair(Shape(7, 1, 48, None)),
    "odd": Pair(Shape(13, 19, 48, None)),
    "odd_stride_2": Pair(Shape(13, 19, 48, None, stride=2)),
    "even_stride_2": Pair(Shape(6, 10, 16, None, stride=2), border=0),
    "strips_of_several_rows": Pair(Shape(12, 5, 16, None), tile=Tile(8, 2, chunks=4)),
    "one_strip": Pair(Shape(6, 5, 16, None), tile=Tile(8, 2, chunks=1)),
    "a_height_that_pieces_do_not_divide": Pair(Shape(7, 5, 16, None), tile=Tile(4, 2, chunks=3)),
    "a_last_block_of_fewer_vectors": Pair(Shape(5, 5, 16, None), 270, Tile(10, 4)),
    "by_output": Pair(Shape(5, 5, 16, None), 270, Tile(10, 2, by_output=True)),
}
PLAIN = Pair(Shape(4, 9, 16, None))


def case(name: str, pair: Pair, arithmetic: Arithmetic) -> Case:
    rng = generator(name)
    first, x = layer_of(f"{name}_first", pair.first, arithmetic, rng, pair.fill)
    between, off = result(first, x)
    second, _ = layer_of(name, pair.second, arithmetic, rng)
    second = replace(second, input=first.output)
    values, error = result(second, between, off)
    layer = Separable(first, second)
    inputs = {
        "x": in_memory(x, first.input, arithmetic, rng),
        **constants(layer, arithmetic, pair.tile),
    }
    limits = {"y": to_write(error, second.output, arithmetic).data}
    expected = {"y": to_write(values, second.output, arithmetic)}
    function = separable(layer, arithmetic, pair.first.tile, pair.tile)
    return Case(name, function, inputs, expected, {} if on_integers(arithmetic) else limits)


def cases(arithmetic: Arithmetic) -> Cases:
    pairs = dict(SHAPES)
    if on_integers(arithmetic):
        for name, (zeros, fill) in INTEGERS.items():
            pairs[name] = replace(PLAIN, first=replace(PLAIN.first, zeros=zeros), fill=fill)
    else:
        for name, limits in LIMITS.items():
            pairs[name] = replace(PLAIN, first=replace(PLAIN.first, limits=limits))
    return {
        name: partial(case, f"separable_{name}", pair, arithmetic) for name, pair in pairs.items()
    }
