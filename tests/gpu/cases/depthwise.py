"""Depthwise convolutions, alone and with the 1x1 convolution that reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from targets.gpu.steps import Depthwise, Separable
from targets.graph import Convolution
from tests.gpu.cases.case import (
    Case,
    Cases,
    Family,
    Wanted,
    photos_of,
    schedule_for,
    stored,
    together,
)
from tests.targets.cases.arrays import convolved, generator
from tests.targets.cases.layer import Fill, Shape, layer_of, result, variants

SHAPES = {
    "one_pixel": Shape(1, 1, 16, None),
    "one_pixel_stride_2": Shape(1, 1, 16, None, stride=2),
    "one_row": Shape(1, 7, 48, None),
    "one_column": Shape(7, 1, 48, None),
    "odd": Shape(13, 19, 48, None),
    "odd_stride_2": Shape(13, 19, 48, None, stride=2),
    "even_stride_2": Shape(6, 10, 48, None, stride=2),
    "few_channels": Shape(3, 5, 3, None),
    "many_channels": Shape(4, 5, 272, None),
}
PLAIN = Shape(4, 9, 16, None)


# By the pixels of a thread, and what is left of a row.
WIDE = {
    f"{pixels}_pixels_{name}_of_{width}": (replace(shape, width=width), pixels)
    for name, shape in (
        ("stride_1", Shape(3, 0, 20, None)),
        ("stride_2", Shape(5, 0, 20, None, stride=2)),
    )
    for pixels in ((2, 4) if shape.stride == 1 else (2,))
    for width in (1, 4, 7, 10)
}


def case(
    family: Family, name: str, shape: Shape, fill: Fill | None = None, pixels: int | None = None,
    photos: int = 1,
) -> Case:  # fmt: skip
    """pixels: of a thread, instead of the schedule's."""
    arithmetic = family.arithmetic
    layer, x = layer_of(name, shape, arithmetic, generator(name), fill)
    inputs = photos_of(x, photos)
    wanted = together([stored(*result(layer, each), arithmetic) for each in inputs])
    choices = {"targets.gpu.operators.depthwise.pixels_of": pixels} if pixels else {}
    return Case(
        Depthwise(layer), schedule_for(family, photos), {layer.input: inputs},
        {layer.output: wanted}, choices=choices,
    )  # fmt: skip


def cases(family: Family) -> Cases:
    found = {
        name: partial(case, name=f"depthwise_{name}", shape=shape, fill=fill)
        for name, (shape, fill) in variants(SHAPES, PLAIN, family.arithmetic).items()
    }
    for name, (shape, pixels) in WIDE.items():
        found[name] = partial(case, name=f"depthwise_{name}", shape=shape, pixels=pixels)
    for pixels in (1, 2):
        name = f"two_photos_{pixels}"
        found[name] = partial(
            case, name=f"depthwise_{name}", shape=PLAIN, pixels=pixels, photos=2
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class Pair:
    """outputs: of the second. middle: zero point between the two, for integers."""

    shape: Shape
    outputs: int
    middle: int = 100
    photos: int = 1


PAIRS = {
    "one_pixel": Pair(Shape(1, 1, 16, None), 12),
    "odd": Pair(Shape(13, 19, 40, None), 70),
    "stride_2": Pair(Shape(13, 10, 64, None, stride=2), 64),
    "few_channels": Pair(Shape(5, 3, 3, None), 10),
    "many_channels": Pair(Shape(3, 5, 160, None), 20),
    "zeros_at_0": Pair(Shape(4, 9, 40, None, zeros=(0, 0)), 40, middle=0),
    "zeros_at_255": Pair(Shape(4, 9, 40, None, zeros=(255, 255)), 40, middle=255),
    "two_photos": Pair(Shape(5, 9, 40, None), 40, photos=2),
}


def pair_case(family: Family, name: str, pair: Pair, limited: bool = True) -> Case:
    rng, arithmetic, shape = generator(name), family.arithmetic, pair.shape
    limits = (0.0, 6.0) if limited else None
    first_shape = replace(shape, zeros=(shape.zeros[0], pair.middle), limits=limits)
    first, x = layer_of(f"{name}_first", first_shape, arithmetic, rng)
    sides = first.output.height, first.output.width
    second_shape = Shape(
        *sides, shape.channels, pair.outputs, kernel=1, zeros=(pair.middle, shape.zeros[1]),
        limits=limits,
    )  # fmt: skip
    second, _ = layer_of(name, second_shape, arithmetic, rng)
    second = replace(second, input=first.output)
    inputs = photos_of(x, pair.photos)
    wanted = together([_both(first, second, each, family) for each in inputs])
    step = Separable(first, second)
    return Case(
        step, schedule_for(family, pair.photos), {first.input: inputs},
        {second.output: wanted},
    )  # fmt: skip


def _both(first: Convolution, second: Convolution, x: np.ndarray, family: Family) -> Wanted:
    middle = stored(*result(first, x), family.arithmetic)
    values, error = result(second, middle.values)
    if family.arithmetic.integers:
        return Wanted(values, error)
    carried = convolved(middle.limits, np.abs(second.weights.astype(np.float64)), 1)
    return stored(values, error + carried, family.arithmetic)


def pair_cases(family: Family) -> Cases:
    return {
        f"separable_{name}": partial(pair_case, name=f"separable_{name}", pair=pair)
        for name, pair in PAIRS.items()
    }
