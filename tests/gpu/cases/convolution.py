"""Convolutions, alone, of several maps at once, and with the sum that they go into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from targets.gpu.lower import TILES
from targets.gpu.operators.core import Tile
from targets.gpu.steps import Convolutions, Member
from targets.graph import Merge, Tensor
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
from tests.targets.cases import merge as merges
from tests.targets.cases.arrays import EPSILON, generator, grid_of
from tests.targets.cases.layer import Fill, Numbers, Shape, layer_of, result, variants

SINGLE = {
    "one_pixel": Shape(1, 1, 40, 12, kernel=1),
    "one_pixel_3x3": Shape(1, 1, 40, 12),
    "one_row": Shape(1, 7, 12, 40),
    "one_column": Shape(7, 1, 12, 40),
    "odd": Shape(13, 19, 40, 40),
    "odd_stride_2": Shape(13, 19, 12, 40, stride=2),
    "even_stride_2": Shape(6, 10, 12, 40, stride=2),
    "odd_1x1": Shape(13, 19, 40, 40, kernel=1),
    "odd_1x1_stride_2": Shape(13, 19, 12, 40, kernel=1, stride=2),
    "even_1x1_stride_2": Shape(6, 10, 12, 40, kernel=1, stride=2),
    "one_channel": Shape(4, 5, 1, 20),
    "three_channels": Shape(9, 8, 3, 32, stride=2),
    "ten_outputs": Shape(5, 3, 12, 10),
    "twelve_outputs": Shape(5, 3, 32, 12, kernel=1),
    "outputs_in_many_tiles": Shape(3, 5, 40, 270, kernel=1),
    # Fewer pieces of the reduction than are copied ahead, as many, and one more.
    "one_piece": Shape(4, 5, 8, 20, kernel=1),
    "two_pieces": Shape(4, 5, 128, 20, kernel=1),
    "three_pieces": Shape(4, 5, 96, 20, kernel=1),
    "many_pieces": Shape(4, 5, 100, 20),
    "many_channels_1x1": Shape(2, 3, 520, 20, kernel=1),
}
# More than a tile of pixels and of outputs, neither of them whole tiles.
OVER_A_TILE = Shape(9, 15, 40, 70)
WHOLE_TILES = Shape(8, 16, 32, 64, kernel=1)
PLAIN = Shape(4, 5, 64, 20)
GROUPS: Mapping[str, tuple[Shape, ...]] = {
    "three_maps": (
        Shape(9, 7, 40, 36),
        replace(Shape(3, 5, 40, 36), zeros=(131, 0)),
        replace(Shape(1, 1, 40, 36), zeros=(255, 77)),
    ),
    # The smallest first, so that no map's tiles begin where they would if it were alone.
    "four_maps_1x1": tuple(
        replace(Shape(side, side + 2, 20, 70, kernel=1), zeros=(9 * side, 5 * side))
        for side in (1, 2, 5, 10)
    ),
    "two_maps_stride_2": (
        Shape(7, 5, 12, 40, stride=2),
        replace(Shape(6, 2, 12, 40, stride=2), zeros=(0, 255)),
    ),
}


def case(
    family: Family, name: str, shapes: Sequence[Shape], fill: Fill | None = None,
    tile: Tile | None = None, photos: int = 1,
) -> Case:  # fmt: skip
    """tile: instead of the schedule's."""
    rng, arithmetic = generator(name), family.arithmetic
    made = [layer_of(name, shape, arithmetic, rng, fill) for shape in shapes]
    step = Convolutions(tuple(Member(layer) for layer, _ in made))
    inputs = {layer.input: photos_of(x, photos) for layer, x in made}
    expected = {
        layer.output: together(
            [stored(*result(layer, each), arithmetic) for each in inputs[layer.input]]
        )
        for layer, _ in made
    }
    choices = {"targets.gpu.lower.tile_of": tile} if tile else {}
    return Case(step, schedule_for(family, photos), inputs, expected, choices=choices)


@dataclass(frozen=True)
class Merged:
    """A convolution and a sum. height, width, outputs: of the coarse map."""

    sum: merges.Shape
    channels: int = 40
    kernel: int = 1
    photos: int = 1
    as_it_is: bool = False


MERGED = {
    "one_pixel": Merged(merges.Shape(1, 1)),
    "one_row": Merged(merges.Shape(1, 5, 40)),
    "one_column": Merged(merges.Shape(5, 1, 70)),
    "odd": Merged(merges.Shape(5, 7, 36)),
    "after_3x3": Merged(merges.Shape(3, 2, 20), kernel=3),
    "of_two_photos": Merged(merges.Shape(3, 2, 20), photos=2),
}
INTEGER_MERGED = {
    "saturated": Merged(
        merges.Shape(5, 7, 40, zeros=(100, 150, 90), multipliers=(3.3, 7.1))
    ),
    "zeros_at_0": Merged(merges.Shape(3, 2, 20, zeros=(0, 0, 0))),
    "zeros_at_255": Merged(merges.Shape(3, 2, 20, zeros=(255, 255, 255))),
    "ties": Merged(
        merges.Shape(16, 16, 256, pairs=True, zeros=(128, 127, 128), multipliers=(0.5, 0.25)),
        as_it_is=True,
    ),
    "near_ties": Merged(
        replace(merges.INTEGER["pairs_near_ties_the_other_way_round"], zeros=(0, 0, 0)),
        as_it_is=True,
    ),
}  # fmt: skip


def merged_case(family: Family, name: str, merged: Merged) -> Case:
    rng, arithmetic, shape = generator(name), family.arithmetic, merged.sum
    fine = Shape(
        2 * shape.height, 2 * shape.width, merged.channels, shape.channels, merged.kernel,
        zeros=(7, shape.zeros[0]),
    )  # fmt: skip
    if merged.as_it_is:
        fine = replace(fine, channels=shape.channels, zeros=(shape.zeros[0],) * 2)
    layer, x = layer_of(name, fine, arithmetic, rng, _each_value if merged.as_it_is else None)
    sides = shape.height, shape.width, shape.channels
    top = Tensor("top", *sides, grid_of(arithmetic, shape.zeros[1]))
    output = Tensor(
        "sum", fine.height, fine.width, shape.channels, grid_of(arithmetic, shape.zeros[2])
    )
    multipliers = tuple(float(np.float32(each)) for each in shape.multipliers)
    merge = Merge(
        "merge", layer.output, top, output, multipliers if arithmetic.integers else None
    )  # fmt: skip
    values: np.ndarray = rng.normal(size=sides).astype(arithmetic.stored).astype(np.float64)
    if arithmetic.integers:
        values = rng.integers(0, 256, sides)
    if merged.as_it_is:
        values = np.broadcast_to(np.arange(256).reshape(*sides[:2], 1), sides)
    inputs = {
        layer.input: photos_of(x, merged.photos),
        top: photos_of(values, merged.photos),
    }
    photos = [
        _merged(merge, *result(layer, first), second, family)
        for first, second in zip(inputs[layer.input], inputs[top], strict=True)
    ]
    step = Convolutions((Member(layer, merge),))
    schedule = schedule_for(family, merged.photos)
    return Case(step, schedule, inputs, {output: together(photos)})


def _each_value(shape: Shape, rng: np.random.Generator) -> Numbers:
    """A convolution that passes on what it gets, all 256 integers in each pixel."""
    x = np.broadcast_to(np.arange(256), (shape.height, shape.width, 256))
    weights = np.eye(256, dtype=np.int64).reshape(256, 256, 1, 1)
    return Numbers(x, weights, np.zeros(256), np.ones(256))


def _merged(
    merge: Merge, lateral: np.ndarray, error: np.ndarray, top: np.ndarray, family: Family
) -> Wanted:
    values = merges.merged(merge, lateral, top)
    if merge.multipliers is not None:
        return Wanted(values, np.zeros(values.shape))
    return stored(values, error + EPSILON * (np.abs(values) + error), family.arithmetic)


def cases(family: Family) -> Cases:
    singles = variants(SINGLE, PLAIN, family.arithmetic)
    found = {
        name: partial(case, name=name, shapes=(shape,), fill=fill)
        for name, (shape, fill) in singles.items()
    }
    for name, shapes in GROUPS.items():
        found[name] = partial(case, name=name, shapes=shapes)
    for tile in TILES:
        name = f"tile_{tile.rows}x{tile.columns}"
        found[name] = partial(case, name=name, shapes=(OVER_A_TILE,), tile=tile)
        name = f"whole_{name}"
        found[name] = partial(case, name=name, shapes=(WHOLE_TILES,), tile=tile)
    found["two_photos"] = partial(case, name="two_photos", shapes=(PLAIN,), photos=2)
    found["two_photos_of_three_maps"] = partial(
        case, name="two_photos_of_three_maps", shapes=GROUPS["three_maps"], photos=2
    )
    return found


def merged_cases(family: Family) -> Cases:
    shapes = {**MERGED, **(INTEGER_MERGED if family.arithmetic.integers else {})}
    return {
        f"merge_{name}": partial(merged_case, name=f"merge_{name}", merged=merged)
        for name, merged in shapes.items()
    }
