"""Box geometry: the paper's default boxes, the two codings, IoU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_passd import boxes as geometry

coordinate = st.floats(-500, 900)
side = st.floats(0.5, 900)


def box_arrays(count: int) -> st.SearchStrategy[np.ndarray]:
    """(count, 4) float64 centres of positive size."""
    box = st.tuples(coordinate, coordinate, side, side)
    return st.lists(box, min_size=count, max_size=count).map(np.array)


def offset_arrays(limit: float) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, (3, 4), elements=st.floats(-limit, limit))


@pytest.mark.parametrize(
    ("size", "cells"),
    [
        (64, (8, 4, 2, 1)),
        (320, (40, 20, 10, 5)),
        (512, (64, 32, 16, 8)),
        (704, (88, 44, 22, 11)),
        (768, (96, 48, 24, 12, 6)),
        (832, (104, 52, 26, 13, 7)),
    ],
)
def test_levels_and_their_boxes(size: int, cells: tuple[int, ...]) -> None:
    assert geometry.cells_for(size) == cells
    assert geometry.strides_for(size) == (8, 16, 32, 64, 128)[: len(cells)]
    boxes, strides = geometry.default_boxes(size), geometry.box_strides(size)
    assert boxes.dtype == strides.dtype == np.float32
    assert boxes.shape == (3 * sum(n * n for n in cells), 4)
    assert strides.shape == (len(boxes),)


@pytest.mark.parametrize("size", [0, -64, 63, 100, 321])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of 64, not {size}"):
        geometry.default_boxes(size)


def test_default_boxes_are_the_papers() -> None:
    boxes = geometry.default_boxes(128)
    expected = []
    for stride, n in ((8, 16), (16, 8), (32, 4), (64, 2)):
        for row in range(n):
            for column in range(n):
                for power in (0, 1 / 3, 2 / 3):
                    s = 4 * stride * 2**power
                    expected.append([(column + 0.5) * stride, (row + 0.5) * stride, s, s])
    np.testing.assert_allclose(boxes, expected, 1e-6)


def test_coco_scales_reach_down() -> None:
    sides = geometry.default_boxes(64, geometry.COCO_SCALES)[:3, 2]
    np.testing.assert_allclose(sides, [32 * 2 ** (-1 / 3), 32, 32 * 2 ** (1 / 3)], 1e-6)
    assert len(geometry.box_strides(64, scales=2)) == 2 * 85


@given(box_arrays(5))
def test_corners_and_centres_are_inverse(boxes: np.ndarray) -> None:
    corners = geometry.corners(boxes)
    np.testing.assert_allclose(geometry.centres(corners), boxes, 1e-9, 1e-9)
    np.testing.assert_allclose(corners[:, 2:] - corners[:, :2], boxes[:, 2:], 1e-9, 1e-9)


@given(targets=box_arrays(3), boxes=box_arrays(3))
def test_decode_undoes_encode(targets: np.ndarray, boxes: np.ndarray) -> None:
    # Within the clamp, that is: a target more than e^4 times larger or smaller is out of reach.
    targets[:, 2:] = np.clip(targets[:, 2:] / boxes[:, 2:], 0.02, 50) * boxes[:, 2:]
    decoded = geometry.decode(geometry.encode(targets, boxes), boxes)
    np.testing.assert_allclose(decoded, targets, 1e-9, 1e-7)


@given(offsets=offset_arrays(4), boxes=box_arrays(3))
def test_encode_undoes_decode(offsets: np.ndarray, boxes: np.ndarray) -> None:
    encoded = geometry.encode(geometry.decode(offsets, boxes), boxes)
    np.testing.assert_allclose(encoded, offsets, 1e-6, 1e-9 * 2000)


def test_offsets_by_hand() -> None:
    box, target = np.array([10.0, 20, 4, 8]), np.array([12.0, 16, 8, 4])
    np.testing.assert_allclose(
        geometry.encode(target, box), [0.5, -0.5, np.log(2), -np.log(2)], 1e-12
    )
    np.testing.assert_array_equal(geometry.decode(np.zeros(4), box), box)


@given(offsets=arrays(np.float64, (3, 4), elements=st.floats(allow_nan=False)), boxes=box_arrays(3))
def test_a_clipped_centre_stays_within_half_a_stride(
    offsets: np.ndarray, boxes: np.ndarray
) -> None:
    strides = np.array([8.0, 16.0, 128.0])
    boxes[:, :2] = np.round(boxes[:, :2])  # so that half a stride is added without rounding
    moved = geometry.decode_clipped(offsets, boxes, strides)
    assert np.isfinite(moved).all()
    assert (np.abs(moved - boxes)[:, :2] <= strides[:, None] / 2).all()
    limit = np.exp(geometry.MAX_SIZE_OFFSET) * 1.000001
    ratio = moved[:, 2:] / boxes[:, 2:]
    assert ((ratio <= limit) & (ratio >= 1 / limit)).all()


@given(offsets=offset_arrays(0.2), boxes=box_arrays(3))
def test_a_clipped_centre_moves_as_equation_two_says(
    offsets: np.ndarray, boxes: np.ndarray
) -> None:
    strides = np.array([8.0, 16.0, 32.0])
    moved = geometry.decode_clipped(offsets, boxes, strides)
    by_ratio = np.tanh(offsets[:, :2]) * strides[:, None] / (2 * boxes[:, 2:])  # eq. 2
    np.testing.assert_allclose(
        moved, geometry.decode(np.hstack([by_ratio, offsets[:, 2:]]), boxes), 1e-9, 1e-9
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1),
        ([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3),
        ([0, 0, 10, 10], [2, 2, 7, 7], 0.25),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0),  # they touch
        ([0, 0, 10, 10], [50, 50, 60, 60], 0),
        ([0, 0, 10, 10], [3, 3, 3, 8], 0),  # without area
        ([4, 4, 4, 4], [4, 4, 4, 4], 0),  # two points: the union is empty
        ([10, 10, 0, 0], [0, 0, 10, 10], 0),  # inside out
    ],
)
def test_iou_by_hand(first: list[float], second: list[float], expected: float) -> None:
    overlap = geometry.iou(np.array([first], float), np.array([second], float))
    np.testing.assert_allclose(overlap, [[expected]], 1e-12)


@given(first=box_arrays(3), second=box_arrays(2), shift=coordinate, scale=st.floats(0.1, 10))
def test_iou_is_symmetric_bounded_and_blind_to_place_and_size(
    first: np.ndarray, second: np.ndarray, shift: float, scale: float
) -> None:
    a, b = geometry.corners(first), geometry.corners(second)
    overlap = geometry.iou(a, b)
    assert overlap.shape == (3, 2)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-12)).all()
    np.testing.assert_allclose(geometry.iou(b, a).T, overlap, 1e-12)
    np.testing.assert_allclose(np.diag(geometry.iou(a, a)), 1, 1e-12)
    moved = geometry.iou(a * scale + shift, b * scale + shift)
    np.testing.assert_allclose(moved, overlap, 1e-6, 1e-9)


def test_no_boxes_are_no_trouble() -> None:
    none, one = np.zeros((0, 4)), np.array([[0.0, 0, 1, 1]])
    assert geometry.iou(none, one).shape == (0, 1)
    assert geometry.iou(one, none).shape == (1, 0)
    for function in (geometry.corners, geometry.centres):
        assert function(none).shape == (0, 4)
    assert geometry.area(none).shape == (0,)
    assert geometry.clip(none, 5, 5).shape == (0, 4)


@given(boxes=box_arrays(4), width=st.floats(1, 600), height=st.floats(1, 600))
def test_clipped_boxes_lie_in_the_picture(boxes: np.ndarray, width: float, height: float) -> None:
    corners = geometry.corners(boxes)
    clipped = geometry.clip(corners, width, height)
    assert (clipped >= 0).all()
    assert (clipped <= [width, height, width, height]).all()
    assert (geometry.area(clipped) <= geometry.area(corners) + 1e-9).all()
    inside = ((corners >= 0) & (corners <= [width, height, width, height])).all(axis=1)
    np.testing.assert_array_equal(clipped[inside], corners[inside])
