"""The sampling stage alone: boxes in, sums over nine taps out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_passd.offset_sample import TAPS, offset_sample
from targets.graph import Grid, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.operators import sampling
from tests.targets.cases.arrays import generator, in_memory, on_integers
from tests.targets.cases.case import Case, Cases

ROUNDING = 1e-7  # of a few operations in float32, relative
STEP = 1 / 64  # of the maps' values: sums of their quarters are exact in float32

Boxes = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def around(share: float) -> Boxes:
    """Centres up to `share` of the map outside it, sides up to all of it."""

    def draw(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        sides = np.array([shape[0], shape[1]] * 2)
        return rng.uniform([-share] * 2 + [0] * 2, [1 + share] * 2 + [1] * 2, shape) * sides

    return draw


def quarters(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Points, without a size, on quarters of cells: on, between and outside cells, exactly."""
    boxes = np.zeros(shape)
    steps = rng.integers(-8, 4 * np.array(shape[:2]) + 8, (*shape[:-1], 2))
    boxes[..., :2] = steps / 4
    return boxes


def listed(*values: float) -> Boxes:
    """Centres from among the values, without a size."""

    def draw(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        boxes = np.zeros(shape)
        boxes[..., :2] = rng.choice(values, (*shape[:-1], 2))
        return boxes

    return draw


def on_cells(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Three cells large, centred on a cell: a plain 3x3 convolution."""
    rows, columns = np.indices(shape[:2])[..., None]
    return np.stack(np.broadcast_arrays(rows, columns, *np.full((2, *shape[:-1]), 3.0)), -1)


@dataclass(frozen=True)
class Shape:
    """depth: D. boxes: draws (H, W, A, 4) of cy cx h w in cells. exact: no rounding is needed."""

    height: int
    width: int
    depth: int = 10
    anchors: int = 3
    boxes: Boxes = around(0.5)  # noqa: RUF009
    zero: int = 131
    exact: bool = False


SHAPES = {
    "one_cell": Shape(1, 1, boxes=quarters, exact=True),
    "corners": Shape(2, 2, anchors=40, boxes=quarters, exact=True),
    "edges": Shape(3, 5, anchors=20, boxes=quarters, exact=True),
    "odd": Shape(13, 19, 25),
    "on_cells": Shape(4, 5, boxes=on_cells),
    "one_anchor": Shape(3, 4, anchors=1),
    "one_output": Shape(3, 4, 1),
    "four_outputs": Shape(3, 4, 4),
    "eight_outputs": Shape(3, 4, 8),
    "a_vector_and_one": Shape(3, 4, 17),
    "coco": Shape(3, 4, 85),
    "far_outside": Shape(4, 5, boxes=around(3)),
    "very_far_outside": Shape(
        3, 4, boxes=listed(-np.inf, -1e30, -1e6, -2, 1, 6, 1e6, 1e30, np.inf), exact=True
    ),
}
INTEGER = {
    "zero_at_0": Shape(3, 4, zero=0, boxes=quarters, exact=True),
    "zero_at_255": Shape(3, 4, zero=255, boxes=quarters, exact=True),
}


def case(name: str, shape: Shape, arithmetic: Arithmetic) -> Case:
    rng = generator(name)
    sides, channels = (shape.height, shape.width), shape.anchors * TAPS * shape.depth
    grid = Grid(STEP, shape.zero) if on_integers(arithmetic) else None
    tensor = Tensor("projected", *sides, channels, grid)
    steps = rng.integers(0, 256, (*sides, channels))
    values = (steps - shape.zero) * STEP
    boxes = shape.boxes((*sides, shape.anchors, 4), rng).astype(np.float32)
    wanted, error = sampled(values, boxes.astype(np.float64), shape.depth)
    projected = in_memory(steps if grid else values, tensor, arithmetic, rng)
    return Case(
        name,
        sampling.offset_sample(tensor, shape.anchors, shape.depth, arithmetic),
        {"projected": projected, "boxes": boxes},
        {"y": np.ma.array(wanted)},
        {} if shape.exact else {"y": error},
    )


def sampled(projected: np.ndarray, boxes: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, A * 9 * D) and (H, W, A, 4) to (H, W, A, D), and how far float32 may be off there."""
    maps, moved = projected.transpose(2, 0, 1)[None], boxes.transpose(2, 3, 0, 1)[None]
    values, weights = (
        offset_sample(each, moved, depth)[0].transpose(2, 3, 0, 1)
        for each in (maps, np.ones_like(maps))
    )
    # What places a tap rounds in proportion to its size, which is of no effect where no tap meets
    # the map; and nine taps never err all one way.
    met = weights.max(-1, keepdims=True) > 0
    reach = np.where(met, 1 + np.abs(boxes).sum(-1, keepdims=True), 0)
    sizes = 2 * np.abs(projected).max() * reach + np.abs(values).max(-1, keepdims=True)
    return values, np.broadcast_to(2 * ROUNDING * sizes, values.shape)


def cases(arithmetic: Arithmetic) -> Cases:
    shapes: Mapping[str, Shape] = {**SHAPES, **(INTEGER if on_integers(arithmetic) else {})}
    return {
        name: partial(case, f"sampling_{name}", shape, arithmetic) for name, shape in shapes.items()
    }
