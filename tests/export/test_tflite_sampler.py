"""The row lookup that stands for the sampling stage in TFLite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.offset_sample import offset_sample
from quant.export.tflite_sampler import lookup_sample

sides = st.integers(1, 6)


@given(st.integers(1, 3), st.integers(1, 5), sides, sides, st.integers(0, 2**31), st.data())
def test_it_is_the_offset_sample(
    anchors: int, outputs: int, height: int, width: int, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    spread = data.draw(st.sampled_from([0.5, 3.0, 50.0, 1e6]))
    projected = rng.standard_normal((1, anchors * 9 * outputs, height, width))
    boxes = rng.uniform(-spread, spread, (1, anchors, 4, height, width))
    # Points on whole cells and on the border are where an off-by-one would show.
    boxes = np.where(rng.random(boxes.shape) < 0.3, np.round(boxes), boxes)
    expected = offset_sample(projected, boxes, outputs)
    found = lookup_sample(torch.from_numpy(projected), torch.from_numpy(boxes)).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_it_keeps_the_type_and_takes_boxes_of_another() -> None:
    projected = torch.ones(1, 9, 2, 2)
    boxes = torch.zeros(1, 1, 4, 2, 2, dtype=torch.float64)
    found = lookup_sample(projected, boxes)
    assert found.dtype == torch.float32
    assert found.tolist() == [[[[[9.0, 9.0], [9.0, 9.0]]]]]  # all nine taps on cell (0, 0)


def test_a_point_that_is_no_number_is_an_error() -> None:
    boxes = torch.full((1, 1, 4, 2, 2), float("nan"))
    with pytest.raises(IndexError):
        lookup_sample(torch.ones(1, 9, 2, 2), boxes)
