"""The pyramid's sum: a map plus a coarser one, doubled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from targets.graph import Merge, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.operators.merge import merge
from tests.targets.cases.arrays import generator, grid_of, in_memory, on_integers, to_write, zero_of
from tests.targets.cases.case import Case, Cases


@dataclass(frozen=True)
class Shape:
    """height, width: of the coarse map. borders, zeros: of lateral, top and output.

    multipliers: of lateral and top.
    """

    height: int
    width: int
    channels: int = 16
    borders: tuple[int, int, int] = (0, 0, 1)
    zeros: tuple[int, int, int] = (7, 130, 100)
    multipliers: tuple[float, float] = (0.7, 0.4)
    pairs: bool = False


SHAPES = {
    "one_pixel": Shape(1, 1),
    "one_row": Shape(1, 7, borders=(0, 0, 0)),
    "one_column": Shape(7, 1, borders=(1, 1, 1)),
    "odd": Shape(5, 3, 256),
    "borders_before": Shape(3, 2, 64, borders=(1, 0, 0)),
    "a_border_of_the_coarse_map": Shape(3, 2, 64, borders=(0, 1, 1)),
    "channels_that_fill_no_vector": Shape(2, 3, 40),
    "few_channels": Shape(2, 3, 12),
}
# All 65,536 pairs of integers; of these multipliers many sums fall within an ulp of a tie.
PAIRS = Shape(16, 16, 256, pairs=True)
INTEGER = {
    "pairs_near_ties": replace(PAIRS, zeros=(0, 0, 0), multipliers=(0.087 / 0.096, 0.013 / 0.096)),
    "pairs_near_ties_the_other_way_round": replace(
        PAIRS, zeros=(0, 0, 0), multipliers=(0.013 / 0.096, 0.087 / 0.096)
    ),
    "pairs_on_ties": replace(PAIRS, zeros=(128, 127, 128), multipliers=(0.5, 0.25)),
    "pairs_saturated": replace(PAIRS, zeros=(100, 150, 90), multipliers=(3.3, 7.1)),
    "pairs_with_zeros_at_0": replace(PAIRS, zeros=(0, 0, 0)),
    "pairs_with_zeros_at_255": replace(PAIRS, zeros=(255, 255, 255)),
    "pairs_of_unlike_steps": replace(PAIRS, multipliers=(2.0**-9, 1.1)),
}


def case(name: str, shape: Shape, arithmetic: Arithmetic) -> Case:
    rng = generator(name)
    fine, coarse = (2 * shape.height, 2 * shape.width), (shape.height, shape.width)
    lateral, top, output = (
        Tensor(label, *sides, shape.channels, grid_of(arithmetic, zero), border)
        for label, sides, zero, border in zip(
            ("lateral", "top", "y"), (fine, coarse, fine), shape.zeros, shape.borders, strict=True
        )
    )
    integers = on_integers(arithmetic)
    a, b = ((*sides, shape.channels) for sides in (fine, coarse))
    first: np.ndarray
    second: np.ndarray
    if shape.pairs:
        first = np.broadcast_to(np.arange(shape.channels), a)
        second = np.broadcast_to(np.arange(256).reshape(*coarse, 1), b)
    elif integers:
        first, second = rng.integers(0, 256, a), rng.integers(0, 256, b)
    else:
        first, second = (rng.normal(size=size).astype(np.float32) for size in (a, b))
    multipliers = float(np.float32(shape.multipliers[0])), float(np.float32(shape.multipliers[1]))
    layer = Merge(name, lateral, top, output, multipliers if integers else None)
    values = merged(layer, first, second)
    inputs = {
        "lateral": in_memory(first, lateral, arithmetic, rng),
        "top": in_memory(second, top, arithmetic, rng),
    }
    # The sum of what fills up a vector is no zero, but as finite as its parts.
    expected = to_write(values, output, arithmetic, zero_rest=False)
    return Case(name, merge(layer, arithmetic), inputs, {"y": expected})


def merged(layer: Merge, lateral: np.ndarray, top: np.ndarray) -> np.ndarray:
    """(2 H, 2 W, C) and (H, W, C) values, integers as in ONNX, to what the layer makes of them."""
    doubled = top.repeat(2, 0).repeat(2, 1)
    if layer.multipliers is None:
        return lateral + doubled
    first, second = lateral - zero_of(layer.lateral), doubled - zero_of(layer.top)
    return _rounded_sum(first, second, layer.multipliers, zero_of(layer.output))


def _rounded_sum(
    first: np.ndarray, second: np.ndarray, multipliers: tuple[float, ...], zero_point: int
) -> np.ndarray:
    """fma(first, m, float32(second * n)) rounded to even, plus the zero point, saturated.

    In float64 the products and their sum are exact, so each cast is the one rounding there.
    """
    product = (second * multipliers[1]).astype(np.float32).astype(np.float64)
    total = (first * multipliers[0] + product).astype(np.float32)
    return np.clip(np.rint(total.astype(np.float64)) + zero_point, 0, 255).astype(np.int64)


def cases(arithmetic: Arithmetic) -> Cases:
    shapes = {**SHAPES, **(INTEGER if on_integers(arithmetic) else {})}
    return {
        name: partial(case, f"merge_{name}", shape, arithmetic) for name, shape in shapes.items()
    }
