"""Windows onto a photo: where crops fall, and drawing at the borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd import boxes as geometry
from quant.data.windows import MEAN_BGR, draw, iou_crop, move_boxes, zoom_out

WINDOW = np.array([-30.0, -20, 370, 280])
BOXES = np.array([[20, 30, 90, 200], [200, 100, 340, 260]], np.float32)
seeds = st.integers(0, 2**32)


@settings(max_examples=200, deadline=None)
@given(seeds, st.floats(0.05, 0.9), st.floats(1.05, 4))
def test_a_crop_is_the_window_or_a_part_that_holds_a_centre(
    seed: int, min_side: float, max_aspect: float
) -> None:
    rng = np.random.default_rng(seed)
    part = iou_crop(WINDOW, BOXES, (0.1, 0.5), min_side, max_aspect, rng)
    assert (part[:2] >= WINDOW[:2] - 1e-9).all()
    assert (part[2:] <= WINDOW[2:] + 1e-9).all()
    if (part != WINDOW).any():
        width, height = part[2:] - part[:2]
        assert 1 / max_aspect - 1e-9 <= width / height <= max_aspect + 1e-9
        assert width >= 400 * min_side
        assert height >= 300 * min_side
        centre = geometry.centres(BOXES)[:, :2]
        assert ((centre > part[:2]) & (centre < part[2:])).all(axis=1).any()


def test_a_high_minimum_iou_gives_tight_crops() -> None:
    def share_of_tight(min_ious: tuple[float, ...]) -> float:
        rng = np.random.default_rng(0)
        crops = [iou_crop(WINDOW, BOXES[1:], min_ious, 0.3, 2.0, rng) for _ in range(300)]
        return float((geometry.iou(np.array(crops), BOXES[1:]) >= 0.5).mean())

    assert share_of_tight((0.5,) * 8) > 0.6 > share_of_tight((0.5,)) > 0.15 > share_of_tight(())


def test_a_minimum_iou_out_of_reach_leaves_the_other_kinds() -> None:
    rng = np.random.default_rng(0)
    speck = np.array([[100, 100, 101, 101]], np.float32)
    crops = [iou_crop(WINDOW, speck, (0.9,), 0.3, 2.0, rng) for _ in range(200)]
    wholes = sum((crop == WINDOW).all() for crop in crops)
    assert 60 < wholes < 140  # half of them: the whole window, or any part with the speck


@given(seeds, st.floats(1, 16))
def test_zoom_out_holds_the_window_and_its_shape(seed: int, largest: float) -> None:
    grown = zoom_out(WINDOW, largest, np.random.default_rng(seed))
    assert (grown[:2] <= WINDOW[:2] + 1e-9).all()
    assert (grown[2:] >= WINDOW[2:] - 1e-9).all()
    factors = (grown[2:] - grown[:2]) / (400, 300)
    assert factors[0] == pytest.approx(factors[1])
    assert factors[0] <= largest + 1e-9


@pytest.mark.parametrize("size", [(32, 48), (320, 320)])
@pytest.mark.parametrize("corner", [(-200, 0), (0, -200), (150, 0), (0, 150), (-900, 900)])
def test_a_window_beside_the_photo_shows_the_mean_colour(
    corner: tuple[int, int], size: tuple[int, int]
) -> None:
    white = np.full((100, 120, 3), 255, np.uint8)
    window = np.array([*corner, *np.add(corner, 60)], np.float64)
    picture = draw(white, window, False, size)
    assert picture.shape == (size[1], size[0], 3)
    assert (picture == MEAN_BGR).all()


@pytest.mark.parametrize("flip", [False, True])
def test_the_rim_of_a_photo_does_not_blend_with_the_mean_colour(flip: bool) -> None:
    white = np.full((100, 120, 3), 255, np.uint8)
    for window in ([0, 0, 120, 100], [0, 0, 10, 10], [110.5, 90.5, 120, 100]):
        assert (draw(white, np.array(window, np.float64), flip, (320, 320)) == 255).all()


def test_a_part_of_whole_pixels_at_its_own_size_is_that_part() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    window = np.array([13.0, 7, 77, 71])
    np.testing.assert_array_equal(draw(photo, window, False, (64, 64)), photo[7:71, 13:77])
    np.testing.assert_array_equal(draw(photo, window, True, (64, 64)), photo[7:71, 76:12:-1])


def test_a_window_shows_what_a_larger_one_shows_there() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    larger = draw(photo, np.array([0.0, 0, 120, 100]), False, (480, 400))
    part = draw(photo, np.array([13.0, 7, 23, 17]), False, (40, 40))
    np.testing.assert_array_equal(part, larger[28:68, 52:92])


def test_boxes_by_hand() -> None:
    boxes = np.array([[20, 10, 40, 30]], np.float32)
    window = np.array([10.0, 0, 60, 100])
    np.testing.assert_allclose(move_boxes(boxes, window, False, (100, 50)), [[20, 5, 60, 15]])
    np.testing.assert_allclose(move_boxes(boxes, window, True, (100, 50)), [[40, 5, 80, 15]])
