"""One level's boxes and scores, from the maps of offsets and of projected features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from edge_passd import boxes as geometry
from edge_passd.offset_sample import TAPS
from targets.graph import Attend, Grid, Head, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.operators.attend import attend, constants
from tests.targets.cases.arrays import AnyArithmetic, generator, in_memory, on_integers
from tests.targets.cases.case import Case, Cases, untouched
from tests.targets.cases.sampling import ROUNDING, sampled

Offsets = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def normal(spread: float) -> Offsets:
    return lambda shape, rng: rng.normal(0, spread, shape)


def chosen(*values: float) -> Offsets:
    return lambda shape, rng: rng.choice(values, shape)


@dataclass(frozen=True)
class Shape:
    """One level. offsets: draws (H, W, A, 4) offsets, which integers cut to their grid.

    sides: of the default boxes, cells. zeros: of offsets and projected. others: boxes of other
    levels, before and behind. logits: how large the biases are.
    """

    height: int
    width: int
    classes: int = 6
    sides: tuple[float, ...] = (4.0, 5.04, 6.35)
    clipped: bool = True
    offsets: Offsets = normal(1)  # noqa: RUF009
    others: tuple[int, int] = (0, 0)
    zeros: tuple[int, int] = (120, 131)
    scales: tuple[tuple[float, ...], tuple[float, ...]] = ((1.0,) * 4, (1.0,) * 4)
    logits: float = 1.0
    stride: float = 8.0


ANCHOR, FIVE = (4.0,), (3.17, 4.0, 5.04, 6.35, 8.0)
SMALL = ((0.1, 0.1, 0.2, 0.2), (0.1, 0.15, 0.2, 0.25))

SHAPES = {
    "one_cell": Shape(1, 1),
    "odd": Shape(7, 11, 21),
    "odd_unclipped": Shape(7, 11, 21, clipped=False),
    "among_other_levels": Shape(3, 5, others=(17, 9), stride=128.0),
    "two_classes": Shape(3, 4, 2, others=(2, 3)),
    "sixteen_classes": Shape(3, 4, 16, others=(2, 3)),
    "seventeen_classes": Shape(3, 4, 17, others=(2, 3)),
    "coco_classes": Shape(3, 4, 81, others=(2, 3)),
    "one_anchor": Shape(4, 5, sides=ANCHOR),
    "five_anchors": Shape(4, 5, 21, sides=FIVE),
    "scaled_offsets": Shape(4, 5, scales=SMALL),
    "scaled_offsets_unclipped": Shape(4, 5, clipped=False, scales=SMALL),
    # Three cells wide and at rest, so that every tap is on a cell.
    "taps_on_cells": Shape(4, 5, sides=(3.0,), offsets=chosen(0)),
    # Centres up to two sides away: at and beyond every edge and corner of so small a map.
    "around_the_corners": Shape(2, 2, sides=(1.0, 0.5), clipped=False, offsets=normal(1)),
    "far_outside": Shape(3, 4, clipped=False, offsets=chosen(-30, -10, 0, 10, 30)),
    "huge_and_tiny": Shape(5, 4, offsets=chosen(-5, -4, -3.9, 0, 3.9, 4, 5)),
    "certain": Shape(3, 4, logits=1e3),
}
FLOAT = {
    "wild": Shape(3, 4, offsets=chosen(-1e30, -1e6, -1e3, 0, 1e3, 1e6, 1e30)),
    "wild_unclipped": Shape(3, 4, clipped=False, offsets=chosen(-1e6, -1e3, 0, 1e3, 1e6)),
}
WILD = Shape(3, 4, offsets=chosen(-1e6, 0, 1e6), scales=((1e4,) * 4, (1.0,) * 4))
INTEGER = {
    "ends_of_the_grid": WILD,
    "ends_of_the_grid_unclipped": replace(WILD, clipped=False, scales=SMALL),
    "zeros_at_0": Shape(3, 4, zeros=(0, 0)),
    "zeros_at_255": Shape(3, 4, zeros=(255, 255)),
}


@dataclass(frozen=True)
class Level:
    """A layer, its tensors' values (H, W, channels), and its place among all boxes."""

    layer: Attend
    offsets: np.ndarray
    projected: np.ndarray
    total: int


def head_of(shape: Shape, rng: np.random.Generator) -> Head:
    bias = rng.normal(0, 1, (len(shape.sides), shape.classes + 4))
    bias[:, : shape.classes] *= shape.logits
    return Head(shape.sides, shape.clipped, *shape.scales, bias, shape.classes)


def level(
    name: str, shape: Shape, head: Head, arithmetic: AnyArithmetic, rng: np.random.Generator
) -> Level:
    anchors, depth = head.anchors, head.depth
    sides, widths = (shape.height, shape.width), (4 * anchors, anchors * TAPS * depth)
    offsets = shape.offsets((*sides, anchors, 4), rng)
    grids: list[Grid | None] = [None, None]
    if on_integers(arithmetic):
        grids = [Grid(0.05, shape.zeros[0]), Grid(0.02, shape.zeros[1])]
        offsets = np.clip(np.rint(offsets / 0.05) + shape.zeros[0], 0, 255).astype(np.int64)
        projected = rng.integers(0, 256, (*sides, widths[1]))
    else:
        largest = np.finfo(arithmetic.stored).max
        offsets = np.clip(offsets, -largest, largest).astype(arithmetic.stored)
        projected = rng.normal(size=(*sides, widths[1])).astype(arithmetic.stored)
    first, second = (
        Tensor(label, *sides, channels, grid)
        for label, channels, grid in zip(("offsets", "projected"), widths, grids, strict=True)
    )
    layer = Attend(name, first, second, head, shape.stride, shape.others[0])
    total = sum(shape.others) + sides[0] * sides[1] * anchors
    return Level(layer, offsets.reshape(*sides, -1), projected, total)


def case(name: str, shape: Shape, arithmetic: Arithmetic) -> Case:
    rng = generator(name)
    made = level(name, shape, head_of(shape, rng), arithmetic, rng)
    layer = made.layer
    inputs = {
        "offsets": in_memory(made.offsets, layer.offsets, arithmetic, rng),
        "projected": in_memory(made.projected, layer.projected, arithmetic, rng),
        **constants(layer, arithmetic),
    }
    wanted = by_definition(
        layer, real(made.offsets, layer.offsets), real(made.projected, layer.projected)
    )
    own = np.s_[layer.first : layer.first + layer.boxes]
    expected, limits = {}, {}
    for label, (values, error) in wanted.items():
        whole = (made.total, values.shape[1])
        expected[label] = np.ma.array(np.full(whole, untouched(np.float32), np.float64))
        limits[label] = np.zeros(whole)
        expected[label][own], limits[label][own] = values, error
    return Case(name, attend(layer, arithmetic, made.total), inputs, expected, limits)


def real(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    if tensor.grid is None:
        return values.astype(np.float64)
    return (values - tensor.grid.zero_point) * tensor.grid.scale


def by_definition(
    layer: Attend, offsets: np.ndarray, projected: np.ndarray
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Boxes (n, 4) and scores (n, C) of a level in float64, each with how far float32 may be off.

    offsets, projected: (H, W, channels) values.
    """
    head, stride = layer.head, layer.stride
    height, width = offsets.shape[:2]
    rows, columns, sides = np.meshgrid(
        (np.arange(height) + 0.5) * stride,
        (np.arange(width) + 0.5) * stride,
        np.array(head.sides) * stride,
        indexing="ij",
    )
    rest = np.stack([columns, rows, sides, sides], -1)
    moves = offsets.reshape(rest.shape) * head.offset_scales
    if head.clipped:
        adjusted = geometry.decode_clipped(moves, rest, np.full(rest.shape[:-1], stride))
    else:
        adjusted = geometry.decode(moves, rest)
    cells = adjusted[..., [1, 0, 3, 2]] / stride - [0.5, 0.5, 0, 0]
    values, error = sampled(projected, cells, head.depth)
    outputs = values + head.bias
    error = error.max(-1, keepdims=True) + ROUNDING * np.abs(outputs).max(-1, keepdims=True)
    logits, raw = outputs[..., : head.classes], outputs[..., head.classes :]
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    decoded = raw * head.attend_scales
    final = geometry.decode(decoded, adjusted)

    # A side and where it lies round in proportion to themselves, beside what the outputs are off.
    side = np.maximum(adjusted[..., 2:], final[..., 2:]).max(-1, keepdims=True)
    far = sum(
        np.abs(each).max(-1, keepdims=True) for each in (rest, adjusted, final, decoded * side)
    )
    off = error * np.max(head.attend_scales) * side + 4 * ROUNDING * far
    return {
        "boxes": (
            geometry.corners(final).reshape(-1, 4),
            np.broadcast_to(off, final.shape).reshape(-1, 4),
        ),
        "scores": (
            (powers / powers.sum(-1, keepdims=True)).reshape(-1, head.classes),
            np.broadcast_to(error, logits.shape).reshape(-1, head.classes),
        ),
    }


def cases(arithmetic: Arithmetic) -> Cases:
    shapes = {**SHAPES, **(INTEGER if on_integers(arithmetic) else FLOAT)}
    return {
        name: partial(case, f"attend_{name}", shape, arithmetic) for name, shape in shapes.items()
    }
