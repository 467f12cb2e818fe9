"""A convolution of any shape, depthwise or not, with numbers that make it a case."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from targets.graph import Convolution, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.operators import convolution, depthwise
from targets.tiles import Tile
from tests.targets.cases.arrays import (
    EPSILON,
    convolved,
    convolved_by_channel,
    grid_of,
    in_memory,
    on_integers,
    requantised,
    to_write,
    zero_of,
)
from tests.targets.cases.case import Case, Cases


@dataclass(frozen=True)
class Shape:
    """A convolution's shape. sides: of the input. borders, zeros: of input and output.

    outputs: None for depthwise.
    """

    height: int
    width: int
    channels: int
    outputs: int | None
    kernel: int = 3
    stride: int = 1
    tile: Tile = Tile(4, 2)  # noqa: RUF009
    borders: tuple[int, int] = (1, 0)
    zeros: tuple[int, int] = (7, 130)
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Numbers:
    """x: (H, W, C). weights, bias, multipliers: of `Convolution`, integers as int64."""

    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    multipliers: np.ndarray


Fill = Callable[[Shape, np.random.Generator], Numbers]


def case(name: str, shape: Shape, arithmetic: Arithmetic, fill: Fill | None = None) -> Case:
    """A layer of this shape with numbers by `fill`, or random ones of the arithmetic's kind."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    fill = fill or (spread if on_integers(arithmetic) else real)
    return _of_numbers(name, shape, arithmetic, fill(shape, rng), rng)


def _of_numbers(
    name: str, shape: Shape, arithmetic: Arithmetic, numbers: Numbers, rng: np.random.Generator
) -> Case:
    by_channel = shape.outputs is None
    outputs = shape.channels if shape.outputs is None else shape.outputs
    height, width = -(-shape.height // shape.stride), -(-shape.width // shape.stride)
    input_, output = (
        Tensor(label, *sides, channels, grid_of(arithmetic, zero), border)
        for label, sides, channels, zero, border in zip(
            ("x", "y"), ((shape.height, shape.width), (height, width)), (shape.channels, outputs),
            shape.zeros, shape.borders, strict=True,
        )
    )  # fmt: skip
    integers = on_integers(arithmetic)
    layer = Convolution(
        name,
        input_,
        output,
        numbers.weights.astype(np.int8 if integers else np.float32),
        numbers.bias.astype(np.int32 if integers else np.float32),
        shape.stride,
        by_channel,
        numbers.multipliers.astype(np.float32) if integers else None,
        None if integers else shape.limits,
    )
    apply = convolved_by_channel if by_channel else convolved
    sums = apply(numbers.x - zero_of(input_), numbers.weights, shape.stride) + numbers.bias
    limits: Mapping[str, np.ndarray] = {}
    if integers:
        assert sums.min() >= -(2**31), "what does not fit is not asked for"
        assert sums.max() < 2**31
        values = requantised(sums, numbers.multipliers, zero_of(output))
    else:
        values = sums if shape.limits is None else np.clip(sums, *shape.limits)
        sizes = apply(np.abs(numbers.x), np.abs(numbers.weights), shape.stride)
        roundings = shape.kernel**2 * shape.channels + 1
        error = roundings * EPSILON * (sizes + np.abs(numbers.bias))
        limits = {"y": to_write(error, output, arithmetic).data}
    if by_channel:
        function = depthwise.depthwise(layer, arithmetic, shape.tile)
        constants = depthwise.constants(layer, arithmetic)
    else:
        function = convolution.convolution(layer, arithmetic, shape.tile)
        constants = convolution.constants(layer, arithmetic, shape.tile)
    x = in_memory(numbers.x, input_, arithmetic, rng)
    expected = {"y": to_write(values, output, arithmetic)}
    return Case(name, function, {"x": x, **constants}, expected, limits)


def _weights_shape(shape: Shape) -> tuple[int, int, int, int]:
    outputs = shape.channels if shape.outputs is None else shape.outputs
    inputs = 1 if shape.outputs is None else shape.channels
    return outputs, inputs, shape.kernel, shape.kernel


def spread(shape: Shape, rng: np.random.Generator) -> Numbers:
    """Integers that fill the output's range, a little of it saturated at both ends."""
    weights = rng.integers(-127, 128, _weights_shape(shape))
    x = rng.integers(0, 256, (shape.height, shape.width, shape.channels))
    bias = rng.integers(-5000, 5000, len(weights))
    deviation = 104 * 73 * np.sqrt(weights[0].size)
    return Numbers(x, weights, bias, rng.uniform(60, 140, len(weights)) / deviation)


def real(shape: Shape, rng: np.random.Generator) -> Numbers:
    """float32 values."""
    weights = rng.normal(size=_weights_shape(shape)).astype(np.float32)
    x = rng.normal(size=(shape.height, shape.width, shape.channels)).astype(np.float32)
    bias = rng.normal(size=len(weights)).astype(np.float32)
    x, weights, bias = (each.astype(np.float64) for each in (x, weights, bias))
    return Numbers(x, weights, bias, np.ones(len(weights)))


def saturating(shape: Shape, rng: np.random.Generator) -> Numbers:
    """Most of the outputs beyond both ends of 0..255."""
    numbers = spread(shape, rng)
    return replace(numbers, multipliers=numbers.multipliers * 40)


def tied(shape: Shape, rng: np.random.Generator) -> Numbers:
    """The middle of each window times one half, so that half of all outputs lie between steps."""
    numbers = spread(shape, rng)
    weights, middle = np.zeros_like(numbers.weights), shape.kernel // 2
    weights[:, 0, middle, middle] = rng.choice([-1, 1], len(weights))
    bias = rng.integers(-40, 40, len(weights))
    return Numbers(numbers.x, weights, bias, np.full(len(weights), 0.5))


def extreme(x: int) -> Fill:
    """The same `x` everywhere, and the weight furthest from zero: sums that no 16 bits hold."""

    def fill(shape: Shape, rng: np.random.Generator) -> Numbers:
        weights = np.full(_weights_shape(shape), 127)
        weights[::2] = -127
        bias = np.arange(len(weights))
        largest = 255 * 127 * weights[0].size
        multipliers = np.full(len(weights), 130 / largest)
        return Numbers(
            np.full((shape.height, shape.width, shape.channels), x), weights, bias, multipliers
        )

    return fill


def full(shape: Shape, rng: np.random.Generator) -> Numbers:
    """Biases so large that the sums just fit into 32 bits, at both ends."""
    numbers = spread(shape, rng)
    apply = convolved_by_channel if shape.outputs is None else convolved
    sums = apply(numbers.x - shape.zeros[0], numbers.weights, shape.stride)
    highest, lowest = 2**31 - 1 - sums.max((0, 1)), -(2**31) - sums.min((0, 1))
    bias = np.where(np.arange(len(highest)) % 2, highest, lowest)
    return Numbers(numbers.x, numbers.weights, bias, np.full(len(bias), 130 / 2**31))


INTEGER_FILLS: Mapping[str, tuple[tuple[int, int], Fill]] = {
    "zeros_at_0": ((0, 0), spread),
    "zeros_at_255": ((255, 255), spread),
    "zeros_at_0_and_255": ((0, 255), spread),
    "zeros_at_255_and_0": ((255, 0), spread),
    "zeros_in_the_middle": ((128, 127), spread),
    "saturated": ((120, 130), saturating),
    "ties": ((100, 20), tied),
    "highest_inputs_and_weights": ((0, 128), extreme(255)),
    "lowest_inputs_and_weights": ((255, 128), extreme(0)),
    "sums_of_32_bits": ((31, 128), full),
}
FLOAT_LIMITS = {"relu6": (0.0, 6.0), "relu": (0.0, np.inf), "around_zero": (-0.5, 0.5)}


def layer_cases(
    prefix: str, shapes: Mapping[str, Shape], plain: Shape, arithmetic: Arithmetic
) -> Cases:
    """All `shapes`, and `plain` with the numbers that are special for the arithmetic."""
    made: Cases = {}
    for name, shape in shapes.items():
        made[name] = partial(case, f"{prefix}_{name}", shape, arithmetic)
    if on_integers(arithmetic):
        for name, (zeros, fill) in INTEGER_FILLS.items():
            shape = replace(plain, zeros=zeros)
            made[name] = partial(case, f"{prefix}_{name}", shape, arithmetic, fill)
    else:
        for name, limits in FLOAT_LIMITS.items():
            shape = replace(plain, limits=limits)
            made[name] = partial(case, f"{prefix}_{name}", shape, arithmetic)
    return made
