"""The input image, from planes to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from targets.graph import Image, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.operators.image import image
from tests.targets.cases.arrays import EPSILON, generator, grid_of, on_integers, to_write
from tests.targets.cases.case import Case, Cases

COLOURS = 3
# What no image file holds, beside halves, which go to the even step.
ODD_VALUES = (
    0.0, -0.0, 0.5, 1.5, 2.5, 253.5, 254.5, 254.49998, 255.0, 255.5, 256.0, 1e30, 3e9, np.inf,
    -0.5, -0.50001, -1.0, -300.0, -1e30, -3e9, -np.inf, 1e-40, 127.49999, 128.50001,
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """size: of the side. values: to draw pixels from, or None: any of 0..255."""

    size: int
    border: int = 1
    zero: int = 127
    values: tuple[float, ...] | None = None


SHAPES = {
    "one_block": Shape(16),
    "blocks": Shape(64),
    "without_a_border": Shape(48, border=0),
}
INTEGER = {
    "odd_values": Shape(32, values=ODD_VALUES),
    "zero_at_0": Shape(16, zero=0),
    "zero_at_255": Shape(16, zero=255),
}
SCALE, SHIFT = (0.5, 2.0, 1 / 127.5), (-3.0, 0.25, -1.0)


def case(name: str, shape: Shape, arithmetic: Arithmetic) -> Case:
    planes = drawn(shape, generator(name))
    output = Tensor(
        "y", shape.size, shape.size, COLOURS, grid_of(arithmetic, shape.zero), shape.border
    )
    layer = Image(name, output, SCALE, SHIFT)
    values, error = result(layer, planes)
    limits = {} if on_integers(arithmetic) else {"y": to_write(error, output, arithmetic).data}
    values = np.ma.masked_invalid(values)
    expected = to_write(values, output, arithmetic, zero_rest=False)
    return Case(name, image(layer, arithmetic), {"x": planes}, {"y": expected}, limits)


def drawn(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """(3, size, size) float32 pixels."""
    size = COLOURS, shape.size, shape.size
    if shape.values is not None:
        return rng.choice(np.array(shape.values, np.float32), size)
    return rng.uniform(0, 255, size).astype(np.float32)


def result(layer: Image, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the layer makes of planes: (H, W, 3), and how far float32 may be off."""
    pixels = planes.transpose(1, 2, 0).astype(np.float64)
    if layer.output.grid is not None:
        return np.clip(np.rint(pixels), 0, 255), np.zeros(pixels.shape)
    scaled = pixels * layer.scale
    # float32 constants, and two roundings
    return scaled + layer.shift, 4 * EPSILON * (np.abs(scaled) + np.abs(layer.shift))


def cases(arithmetic: Arithmetic) -> Cases:
    shapes = {**SHAPES, **(INTEGER if on_integers(arithmetic) else {})}
    return {
        name: partial(case, f"image_{name}", shape, arithmetic) for name, shape in shapes.items()
    }
