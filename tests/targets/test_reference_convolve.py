"""Convolution against a loop that spells it out, in exact integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from edge_passd.errors import BadInput
from targets.reference import evaluate


def convolve(x: np.ndarray, weight: np.ndarray, **attributes: Any) -> np.ndarray:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="net/conv", **attributes)
    return evaluate([node], {"x": x, "w": weight}, ["y"])["y"]


def spelt_out(
    x: np.ndarray,
    weight: np.ndarray,
    group: int,
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilations: tuple[int, int],
) -> np.ndarray:
    """In whole numbers of any size, one product at a time."""
    height, width = x.shape[2:]
    outputs, depth, k, m = weight.shape
    top, left, bottom, right = pads
    rows = (height + top + bottom - (k - 1) * dilations[0] - 1) // strides[0] + 1
    columns = (width + left + right - (m - 1) * dilations[1] - 1) // strides[1] + 1
    total = np.zeros((1, outputs, rows, columns), object)
    for o, r, c, d, i, j in np.ndindex(outputs, rows, columns, depth, k, m):
        row = r * strides[0] + i * dilations[0] - top
        column = c * strides[1] + j * dilations[1] - left
        if 0 <= row < height and 0 <= column < width:
            channel = o * group // outputs * depth + d
            total[0, o, r, c] += int(x[0, channel, row, column]) * int(weight[o, d, i, j])
    return total


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    depthwise = draw(st.booleans())
    channels = draw(st.integers(1, 4))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * 2))
    dilations = draw(st.tuples(*[st.integers(1, 2)] * 2))
    # Large enough for the kernel even without padding.
    size = [draw(st.integers((k - 1) * d + 1, 7)) for k, d in zip(kernel, dilations, strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    outputs, depth = (channels, 1) if depthwise else (draw(st.integers(1, 4)), channels)
    return {
        "x": rng.integers(-(2**20), 2**20, (1, channels, *size)),
        "weight": rng.integers(-128, 128, (outputs, depth, *kernel)),
        "group": channels if depthwise else 1,
        "strides": draw(st.tuples(*[st.integers(1, 3)] * 2)),
        "pads": draw(st.tuples(*[st.integers(0, 2)] * 4)),
        "dilations": dilations,
    }


@given(cases())
def test_it_is_exact_in_integers(case: dict[str, Any]) -> None:
    np.testing.assert_array_equal(convolve(**case), spelt_out(**case))


def test_no_bit_of_the_largest_sums_is_lost() -> None:
    """3x3 over 1024 channels, all at their limits, and one unit that float32 would not see."""
    x = np.full((1, 1024, 3, 3), 255, np.uint8)
    weight = np.full((1, 1024, 3, 3), 127, np.int8)
    weight[0, 500, 1, 1] = 126
    assert convolve(x, weight).item() == 255 * 127 * 9 * 1024 - 255


@pytest.mark.parametrize(
    ("shape", "attributes", "words"),
    [
        ((4, 2, 1, 1), {"group": 2}, "2 groups for 4 channels in and 4 out"),
        ((8, 1, 1, 1), {"group": 4}, "4 groups for 4 channels in and 8 out"),
        ((4, 4, 3, 3), {"auto_pad": "SAME_UPPER"}, "auto_pad SAME_UPPER"),
    ],
)
def test_other_convolutions_are_refused(
    shape: tuple[int, ...], attributes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=rf"^node 'net/conv': {words}"):
        convolve(np.ones((1, 4, 5, 5)), np.ones(shape), **attributes)
