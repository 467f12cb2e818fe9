from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.offset_sample import TAPS, offset_sample

ANCHORS, OUTPUTS = 2, 3


def bilinear(plane: np.ndarray, y: float, x: float) -> float:
    """One sample, written out from the definition."""
    total = 0.0
    top, left = int(np.floor(y)), int(np.floor(x))
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row, column]
    return total


def by_definition(projected: np.ndarray, points_box: np.ndarray, outputs: int) -> np.ndarray:
    _, anchors, _, height, width = points_box.shape
    maps = projected.reshape(anchors, TAPS, outputs, height, width)
    result = np.zeros((1, anchors, outputs, height, width))
    for a, d, row, column in np.ndindex(result.shape[1:]):
        cy, cx, h, w = points_box[0, a, :, row, column]
        result[0, a, d, row, column] = sum(
            bilinear(maps[a, 3 * (u + 1) + v + 1, d], cy + u * h / 3, cx + v * w / 3)
            for u in (-1, 0, 1)
            for v in (-1, 0, 1)
        )
    return result


def random_case(seed: int, height: int, width: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes centred up to `spread` map sizes beyond the map, many on whole cells and borders."""
    rng = np.random.default_rng(seed)
    projected = rng.normal(size=(1, ANCHORS * TAPS * OUTPUTS, height, width))
    side = np.array([height, width, height, width]).reshape(4, 1, 1)
    boxes = rng.uniform(-spread, 1 + spread, (1, ANCHORS, 4, height, width)) * side
    whole = rng.random(boxes.shape) < 0.3
    return projected, np.where(whole, np.round(boxes), boxes)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 0.5, 5]))
def test_it_is_the_definition(seed: int, height: int, width: int, spread: float) -> None:
    projected, boxes = random_case(seed, height, width, spread)
    expected = by_definition(projected, boxes, OUTPUTS)
    np.testing.assert_allclose(offset_sample(projected, boxes, OUTPUTS), expected, atol=1e-12)


def test_one_case_by_hand() -> None:
    # One anchor, one output, a 1 x 2 map; tap t holds t and 10 t. The box of the left cell lies on
    # it with width 3: the middle taps meet cells -1, 0 and 1; rows above and below do not exist.
    projected = np.stack([[np.arange(9.0)], [10 * np.arange(9.0)]], axis=-1).reshape(1, 9, 1, 2)
    boxes = np.array([[0, 0], [0, 0.5], [3, 3], [3, 0]], float).reshape(1, 1, 4, 1, 2)
    # Left: tap 4 (v = 0) reads cell 0, which is 4; tap 5 (v = 1) reads cell 1, which is 50.
    # Right: width 0, so taps 3, 4, 5 all read x = 0.5, halfway between t and 10 t.
    expected = np.array([54.0, 5.5 * (3 + 4 + 5)]).reshape(1, 1, 1, 1, 2)
    np.testing.assert_allclose(offset_sample(projected, boxes, 1), expected)


def test_a_box_of_three_cells_on_its_own_cell_is_a_plain_convolution() -> None:
    rng = np.random.default_rng(0)
    height, width = 5, 6
    projected = rng.normal(size=(1, TAPS, height, width))
    cy, cx = np.mgrid[:height, :width].astype(float)
    boxes = np.stack([cy, cx, np.full_like(cy, 3), np.full_like(cx, 3)])[None, None]
    padded = np.pad(projected[0], ((0, 0), (1, 1), (1, 1)))
    expected = sum(
        padded[3 * i + j, i : i + height, j : j + width] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(offset_sample(projected, boxes, 1)[0, 0, 0], expected)


@pytest.mark.parametrize("far", [-1e30, -3, 9, 1e30, np.inf, -np.inf])
def test_far_outside_is_zero(far: float) -> None:
    boxes = np.zeros((1, 1, 4, 4, 4), np.float32)
    boxes[0, 0, :2] = far
    result = offset_sample(np.ones((1, TAPS, 4, 4), np.float32), boxes, 1)
    assert not result.any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_of_the_input_is_kept(dtype: type) -> None:
    projected, boxes = random_case(0, 3, 3, 0.2)
    assert offset_sample(projected.astype(dtype), boxes.astype(dtype), OUTPUTS).dtype == dtype


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="disagree"):
        offset_sample(np.zeros((1, 17, 2, 2)), np.zeros((1, 1, 4, 2, 2)), 2)
