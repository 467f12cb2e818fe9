"""Convolutions of any shape, with numbers that make them a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from targets.graph import Convolution, Tensor
from targets.tiles import Tile
from tests.targets.cases.arrays import (
    EPSILON,
    AnyArithmetic,
    convolved,
    convolved_by_channel,
    grid_of,
    on_integers,
    requantised,
    zero_of,
)


@dataclass(frozen=True)
class Shape:
    """A convolution's shape. height, width: of the input. outputs: None for depthwise.

    borders, zeros: of input and output, the latter for integers. limits: for floats.
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

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """(O, I, k, k)."""
        if self.outputs is None:
            return self.channels, 1, self.kernel, self.kernel
        return self.outputs, self.channels, self.kernel, self.kernel


@dataclass(frozen=True)
class Numbers:
    """x: (H, W, C). weights, bias, multipliers: as of `Convolution`."""

    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    multipliers: np.ndarray


Fill = Callable[[Shape, np.random.Generator], Numbers]


def layer_of(
    name: str,
    shape: Shape,
    arithmetic: AnyArithmetic,
    rng: np.random.Generator,
    fill: Fill | None = None,
) -> tuple[Convolution, np.ndarray]:
    """A layer with numbers by `fill`, or random ones, and (H, W, C) input, integers as in ONNX."""
    integers = on_integers(arithmetic)
    numbers = (fill or (spread if integers else real))(shape, rng)
    if not integers:
        x, weights = (each.astype(arithmetic.stored) for each in (numbers.x, numbers.weights))
        numbers = replace(numbers, x=x.astype(np.float64), weights=weights)
    grids = [grid_of(arithmetic, zero) for zero in shape.zeros]
    height, width = -(-shape.height // shape.stride), -(-shape.width // shape.stride)
    layer = Convolution(
        name,
        Tensor("x", shape.height, shape.width, shape.channels, grids[0], shape.borders[0]),
        Tensor("y", height, width, shape.weights[0], grids[1], shape.borders[1]),
        numbers.weights.astype(np.int8 if integers else np.float32),
        numbers.bias.astype(np.int32 if integers else np.float32),
        shape.stride,
        shape.outputs is None,
        numbers.multipliers.astype(np.float32) if integers else None,
        None if integers else shape.limits,
    )
    return layer, numbers.x


def result(layer: Convolution, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the layer makes of x (H, W, C): (H', W', O), and how far float32 may be off."""
    apply = convolved_by_channel if layer.depthwise else convolved
    weights, bias = layer.weights.astype(x.dtype), layer.bias.astype(x.dtype)
    sums = apply(x - zero_of(layer.input), weights, layer.stride) + bias
    if layer.multipliers is not None:
        assert sums.min() >= -(2**31), "what does not fit is not asked for"
        assert sums.max() < 2**31
        values = requantised(sums, layer.multipliers, zero_of(layer.output))
        return values, np.zeros(values.shape)
    roundings = (layer.weights[0].size + 1) * EPSILON
    sizes = apply(np.abs(x), np.abs(weights), layer.stride) + np.abs(bias)
    low, high = layer.limits or (-np.inf, np.inf)
    return np.clip(sums, low, high), roundings * sizes


def spread(shape: Shape, rng: np.random.Generator) -> Numbers:
    """Integers that fill the output's range, a little of it saturated at both ends."""
    weights = rng.integers(-127, 128, shape.weights)
    x = rng.integers(0, 256, (shape.height, shape.width, shape.channels))
    bias = rng.integers(-5000, 5000, len(weights))
    deviation = 104 * 73 * np.sqrt(weights[0].size)
    return Numbers(x, weights, bias, rng.uniform(60, 140, len(weights)) / deviation)


def real(shape: Shape, rng: np.random.Generator) -> Numbers:
    """float32 values, as float64."""
    sizes = (shape.height, shape.width, shape.channels), shape.weights, shape.weights[:1]
    x, weights, bias = (
        rng.normal(size=size).astype(np.float32).astype(np.float64) for size in sizes
    )
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


def narrow(shape: Shape, rng: np.random.Generator) -> Numbers:
    """Weights of 7 bits, for which there may be a quicker form, at both ends of theirs."""
    numbers = spread(shape, rng)
    weights = rng.integers(-64, 65, shape.weights)
    weights.flat[:2] = -64, 64
    return replace(numbers, weights=weights, multipliers=2 * numbers.multipliers)


def extreme(x: int, largest: int = 127) -> Fill:
    """The same `x` everywhere, and the weight furthest from zero: sums that no 16 bits hold."""

    def fill(shape: Shape, rng: np.random.Generator) -> Numbers:
        weights = np.full(shape.weights, largest)
        weights[::2] = -largest
        multipliers = np.full(len(weights), 130 / (255 * largest * weights[0].size))
        everywhere = np.full((shape.height, shape.width, shape.channels), x)
        return Numbers(everywhere, weights, np.arange(len(weights)), multipliers)

    return fill


def full(shape: Shape, rng: np.random.Generator) -> Numbers:
    """Biases so large that the sums just fit into 32 bits, at both ends."""
    numbers = spread(shape, rng)
    apply = convolved_by_channel if shape.outputs is None else convolved
    sums = apply(numbers.x - shape.zeros[0], numbers.weights, shape.stride)
    highest = 2**31 - 1 - np.maximum(sums.max((0, 1)), 0)
    lowest = -(2**31) - np.minimum(sums.min((0, 1)), 0)
    bias = np.where(np.arange(len(highest)) % 2, highest, lowest)
    return Numbers(numbers.x, numbers.weights, bias, np.full(len(bias), 130 / 2**31))


# By name: zero points of input and output, and numbers.
INTEGERS: Mapping[str, tuple[tuple[int, int], Fill]] = {
    "zeros_at_0": ((0, 0), spread),
    "zeros_at_255": ((255, 255), spread),
    "zeros_at_0_and_255": ((0, 255), spread),
    "zeros_at_255_and_0": ((255, 0), spread),
    "zeros_in_the_middle": ((128, 127), spread),
    "saturated": ((120, 130), saturating),
    "ties": ((100, 20), tied),
    "highest_inputs_and_weights": ((0, 128), extreme(255)),
    "lowest_inputs_and_weights": ((255, 128), extreme(0)),
    "weights_of_7_bits": ((7, 130), narrow),
    "highest_inputs_and_weights_of_7_bits": ((0, 128), extreme(255, 64)),
    "highest_inputs_and_weights_just_beyond": ((0, 128), extreme(255, 65)),
    "lowest_inputs_and_weights_of_7_bits": ((255, 128), extreme(0, 64)),
    "sums_of_32_bits": ((31, 128), full),
}
LIMITS = {"relu6": (0.0, 6.0), "relu": (0.0, np.inf), "around_zero": (-0.5, 0.5)}


def variants(
    shapes: Mapping[str, Shape], plain: Shape, arithmetic: AnyArithmetic
) -> dict[str, tuple[Shape, Fill | None]]:
    """All `shapes`, and `plain` with what is special in the arithmetic."""
    found: dict[str, tuple[Shape, Fill | None]] = {k: (v, None) for k, v in shapes.items()}
    if on_integers(arithmetic):
        for name, (zeros, fill) in INTEGERS.items():
            found[name] = replace(plain, zeros=zeros), fill
    else:
        for name, limits in LIMITS.items():
            found[name] = replace(plain, limits=limits), None
    return found
