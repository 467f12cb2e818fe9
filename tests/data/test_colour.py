"""Colour changes on known colours."""

from __future__ import annotations

import numpy as np
import pytest

from quant.data.colour import adjust, shift_hue

RED, GREEN, BLUE, GREY = (0, 0, 255), (0, 255, 0), (255, 0, 0), (90, 90, 90)


def one(colour: tuple[int, int, int]) -> np.ndarray:
    return np.array([[colour]], np.uint8)


@pytest.mark.parametrize(
    ("before", "contrast", "brightness", "after"),
    [
        ((10, 100, 200), 1, 0, (10, 100, 200)),
        ((10, 100, 200), 1, 20, (30, 120, 220)),
        ((10, 100, 200), 1, -20, (0, 80, 180)),
        ((10, 100, 200), 1.5, 0, (15, 150, 255)),
        ((10, 100, 200), 0.5, 10, (15, 60, 110)),
    ],
)
def test_adjust(
    before: tuple[int, int, int],
    contrast: float,
    brightness: float,
    after: tuple[int, int, int],
) -> None:
    np.testing.assert_array_equal(adjust(one(before), contrast, brightness), one(after))


@pytest.mark.parametrize(
    ("before", "degrees", "saturation", "after"),
    [
        (RED, 120, 1, GREEN),
        (GREEN, 120, 1, BLUE),
        (BLUE, 120, 1, RED),  # the circle closes
        (RED, -120, 1, BLUE),
        (RED, 360, 1, RED),
        (GREY, 77, 1.5, GREY),
        (RED, 0, 0, (255, 255, 255)),
        (RED, 0, 0.5, (127, 127, 255)),
        (RED, 0, 1.5, RED),
    ],
)
def test_shift_hue(
    before: tuple[int, int, int],
    degrees: float,
    saturation: float,
    after: tuple[int, int, int],
) -> None:
    # 8-bit hues are 1.4 degrees apart, which moves a channel by up to 6 levels.
    np.testing.assert_allclose(shift_hue(one(before), degrees, saturation), one(after), atol=6)
