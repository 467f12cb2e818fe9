"""Boxes and scores of all levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from targets.gpu.steps import Heads
from tests.gpu.cases.case import Case, Cases, Family, Wanted, photos_of, schedule_for, together
from tests.targets.cases import attend
from tests.targets.cases.arrays import generator
from tests.targets.cases.attend import ANCHOR, Shape, by_definition, head_of, level, real

# D = C + 4 in groups of lanes: three of 6 and 10, two of 11 and 16, one of 17 to 32, and more than
# a warp has lanes.
CLASSES = {
    f"{classes}_classes": Shape(3, 4, classes) for classes in (2, 6, 7, 12, 13, 28, 29, 60, 61)
}
LEVELS: Mapping[str, tuple[Shape, ...]] = {
    "four_levels": (
        Shape(7, 9),
        Shape(4, 5, stride=16.0, zeros=(0, 255)),
        Shape(2, 2, stride=32.0, zeros=(255, 0)),
        Shape(1, 1, stride=64.0, zeros=(77, 128)),
    ),
    "two_levels_of_one_anchor": (
        Shape(3, 5, sides=ANCHOR),
        Shape(2, 3, sides=ANCHOR, stride=16.0),
    ),
    "five_levels_unclipped": tuple(
        Shape(side, side + 1, 21, clipped=False, stride=8.0 * 2**i)
        for i, side in enumerate((6, 3, 2, 1, 1))
    ),
}


def case(family: Family, name: str, shapes: Sequence[Shape], photos: int = 1) -> Case:
    """The head is the first level's."""
    rng, arithmetic = generator(name), family.arithmetic
    head = head_of(shapes[0], rng)
    layers, inputs, first = [], {}, 0
    for shape in shapes:
        made = level(name, shape, head, arithmetic, rng)
        layer = replace(made.layer, first=first)
        first += layer.boxes
        layers.append(layer)
        inputs[layer.offsets] = photos_of(made.offsets, photos)
        inputs[layer.projected] = photos_of(made.projected, photos)
    found = [
        [
            by_definition(
                layer,
                real(inputs[layer.offsets][photo], layer.offsets),
                real(inputs[layer.projected][photo], layer.projected),
            )
            for layer in layers
        ]
        for photo in range(photos)
    ]
    outputs = {
        label: together(
            [Wanted(*map(np.concatenate, zip(*(each[label] for each in levels), strict=True)))
             for levels in found]
        )
        for label in ("boxes", "scores")
    }  # fmt: skip
    step = Heads(tuple(layers))
    return Case(step, schedule_for(family, photos), inputs, {}, outputs=outputs)


def cases(family: Family) -> Cases:
    special = attend.INTEGER if family.arithmetic.integers else attend.FLOAT
    singles = {**attend.SHAPES, **special, **CLASSES}
    found = {
        name: partial(case, name=f"attend_{name}", shapes=(shape,))
        for name, shape in singles.items()
    }
    for name, shapes in LEVELS.items():
        found[name] = partial(case, name=f"attend_{name}", shapes=shapes)
    found["two_photos"] = partial(
        case, name="attend_two_photos", shapes=LEVELS["four_levels"], photos=2
    )
    return found
