"""The first convolution, from planes of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from targets.gpu.steps import Stem
from targets.graph import Convolution, Image
from tests.gpu.cases.case import Case, Cases, Family, Wanted, schedule_for, stored, together
from tests.targets.cases import image as images
from tests.targets.cases.arrays import convolved, generator
from tests.targets.cases.image import ODD_VALUES, SCALE, SHIFT, drawn
from tests.targets.cases.layer import Shape, layer_of, result

BEYOND = (-1000.0, -1.5, 0.0, 0.25, 128.0, 255.0, 255.75, 300.0, 4000.0)


@dataclass(frozen=True)
class Picture:
    """size: of the image's side. zeros: of image and output. values: see `images.Shape`."""

    size: int = 16
    outputs: int = 32
    zeros: tuple[int, int] = (127, 100)
    limits: tuple[float, float] | None = None
    values: tuple[float, ...] | None = None
    photos: int = 1


CASES = {
    "even": Picture(),
    "odd": Picture(17),
    "one_pixel": Picture(1),
    "two_pixels": Picture(2),
    "twelve_outputs": Picture(10, 12),
    "many_outputs": Picture(6, 72),
    "several_blocks": Picture(50),
    "two_photos": Picture(11, photos=2),
}
FLOAT = {
    "relu6": Picture(9, limits=(0.0, 6.0)),
    "pixels_beyond_the_range": Picture(values=BEYOND),
}
INTEGER = {
    "pixels_that_no_file_holds": Picture(33, values=ODD_VALUES),
    # The cut of what is no number at all is 0 on every GPU.
    "no_numbers": Picture(33, values=(np.nan, 0.0, 100.0, 255.0)),
    "zeros_at_0": Picture(9, zeros=(0, 0)),
    "zeros_at_255": Picture(9, zeros=(255, 255)),
}


def case(family: Family, name: str, stem: Picture) -> Case:
    rng, arithmetic = generator(name), family.arithmetic
    shape = Shape(
        stem.size, stem.size, images.COLOURS, stem.outputs, stride=2, zeros=stem.zeros,
        limits=stem.limits,
    )  # fmt: skip
    layer, _ = layer_of(name, shape, arithmetic, rng)
    image = Image("image", layer.input, SCALE, SHIFT)
    pixels = images.Shape(stem.size, values=stem.values)
    planes = np.stack([drawn(pixels, rng) for _ in range(stem.photos)])
    wanted = together([_of(image, layer, each, family) for each in np.nan_to_num(planes)])
    return Case(
        Stem(image, layer), schedule_for(family, stem.photos), {},
        {layer.output: wanted}, planes,
    )  # fmt: skip


def _of(image: Image, layer: Convolution, planes: np.ndarray, family: Family) -> Wanted:
    x, before = images.result(image, planes)
    if family.arithmetic.integers:
        return Wanted(*result(layer, x.astype(np.int64)))
    values, error = result(layer, x)
    carried = convolved(before, np.abs(layer.weights.astype(np.float64)), layer.stride)
    return stored(values, error + carried, family.arithmetic)


def cases(family: Family) -> Cases:
    every = {**CASES, **(INTEGER if family.arithmetic.integers else FLOAT)}
    return {name: partial(case, name=f"stem_{name}", stem=stem) for name, stem in every.items()}
