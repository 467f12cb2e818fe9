"""The boxes in torch against their one definition, `edge_passd.boxes`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from edge_passd import boxes as geometry
from quant.model import PASSD, ModelConfig
from quant.model.heads import adjusted_boxes
from quant.model.passd import decode_corners
from quant.training.trainer import random_model


def lively(config: ModelConfig) -> PASSD:
    """A model whose boxes move and whose logits differ, as after a training."""
    model = random_model(config, seed=1).eval()
    with torch.no_grad():
        model.attend.projection.weight.mul_(3)
        if model.propose is not None:
            model.propose.offsets.weight.mul_(100)
    return model


class Recorder:
    """Keeps what a module puts out for each pyramid level."""

    def __init__(self, module: nn.Module) -> None:
        self.levels: list[Any] = []
        module.register_forward_hook(lambda _module, _inputs, output: self.levels.append(output))


def in_box_order(levels: list[Tensor], anchors: int) -> np.ndarray:
    """(1, A*K, H, W) maps to (N, K), one box at a time: level, row, column, anchor."""
    rows = []
    for level in levels:
        _, channels, height, width = level.shape
        values = channels // anchors
        for row, column, anchor in np.ndindex(height, width, anchors):
            rows.append(level[0, anchor * values : (anchor + 1) * values, row, column])
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("size", [64, 192, 832])
@torch.no_grad()
def test_outputs_follow_the_order_of_the_default_boxes(size: int, photo: np.ndarray) -> None:
    config = ModelConfig(("cat", "cup"), input_size=size)
    model = lively(config)
    assert model.propose is not None
    propose, attend = Recorder(model.propose), Recorder(model.attend)
    prediction = model(picture(photo, size))
    assert prediction.objectness is not None

    objectness = in_box_order([logits for logits, _ in propose.levels], 3)
    np.testing.assert_array_equal(prediction.objectness[0], objectness)
    raw = in_box_order([offsets for _, offsets in propose.levels], 3)
    assert np.ptp(raw) > 0.5  # the boxes really move
    default, strides = geometry.default_boxes(size), geometry.box_strides(size)
    np.testing.assert_allclose(
        prediction.adjusted[0], geometry.decode_clipped(raw, default, strides), 1e-5, 1e-3
    )
    outputs = in_box_order([level.flatten(1, 2) for level in attend.levels], 3)
    np.testing.assert_array_equal(prediction.logits[0], outputs[:, :3])
    np.testing.assert_array_equal(prediction.offsets[0], outputs[:, 3:])


@pytest.mark.parametrize("scales", [geometry.VOC_SCALES, geometry.COCO_SCALES, (1.0,)])
@torch.no_grad()
def test_without_proposals_the_boxes_are_the_default_boxes(scales: tuple[float, ...]) -> None:
    config = ModelConfig(("cat",), 128, scales, propose="none", attend="fixed")
    prediction = random_model(config, seed=0).eval()(torch.zeros(2, 3, 128, 128))
    default = geometry.default_boxes(128, scales)
    np.testing.assert_allclose(prediction.adjusted, np.stack([default] * 2), 1e-6)


@torch.no_grad()
def test_detections_are_decoded_boxes_and_probabilities(photo: np.ndarray) -> None:
    model = lively(ModelConfig(("cat", "cup"), input_size=64))
    prediction = model(picture(photo, 64))
    boxes, scores = model.detections(picture(photo, 64))
    wanted = geometry.corners(
        geometry.decode(prediction.offsets.numpy(), prediction.adjusted.numpy())
    )
    np.testing.assert_allclose(boxes, wanted, 1e-5, 1e-4)
    np.testing.assert_allclose(scores.sum(-1), np.ones((1, 255)), 1e-6)
    logits = prediction.logits.numpy()
    np.testing.assert_allclose(
        scores[..., 1] / scores[..., 0], np.exp(logits[..., 1] - logits[..., 0]), 1e-5
    )


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
CELLS = 3  # side of the maps below


def from_map(boxes: Tensor) -> np.ndarray:
    """(1, A, 4, H, W) cy cx h w to (H, W, A, 4) cx cy w h, still in cells."""
    return boxes[0].permute(2, 3, 0, 1).numpy()[..., [1, 0, 3, 2]]


@given(offsets=arrays(np.float32, (CELLS, CELLS, 3, 4), elements=finite))
@settings(max_examples=100, deadline=None)
def test_a_clipped_centre_stays_within_half_a_stride(offsets: np.ndarray) -> None:
    raw = torch.from_numpy(offsets).permute(2, 3, 0, 1).reshape(1, 12, CELLS, CELLS)
    boxes = adjusted_boxes(raw, ModelConfig(("cat",)), raw)
    assert torch.isfinite(boxes).all()
    cells = adjusted_boxes(None, ModelConfig(("cat",)), raw)
    assert ((boxes - cells)[:, :, :2].abs() <= 0.5).all()
    assert (boxes[:, :, 2:] > 0).all()


moderate = st.floats(-6, 6, width=32)


@pytest.mark.parametrize("propose", ["clipped", "unclipped"])
@given(offsets=arrays(np.float32, (CELLS, CELLS, 3, 4), elements=moderate))
@settings(max_examples=50, deadline=None)
def test_adjusted_boxes_are_the_numpy_ones(propose: Any, offsets: np.ndarray) -> None:
    raw = torch.from_numpy(offsets).permute(2, 3, 0, 1).reshape(1, 12, CELLS, CELLS)
    config = ModelConfig(("cat",), propose=propose)
    default = from_map(adjusted_boxes(None, config, raw))
    wanted = (
        geometry.decode_clipped(offsets, default, np.ones(default.shape[:-1]))
        if propose == "clipped"
        else geometry.decode(offsets, default)
    )
    np.testing.assert_allclose(from_map(adjusted_boxes(raw, config, raw)), wanted, 1e-5, 1e-5)


@given(
    offsets=arrays(np.float64, (5, 4), elements=st.floats(-6, 6)),
    boxes=arrays(np.float64, (5, 4), elements=st.floats(0.1, 900)),
)
@settings(max_examples=50, deadline=None)
def test_decoded_corners_are_the_numpy_ones(offsets: np.ndarray, boxes: np.ndarray) -> None:
    found = decode_corners(torch.from_numpy(offsets), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(found, geometry.corners(geometry.decode(offsets, boxes)), 1e-9, 1e-9)


def picture(photo: np.ndarray, size: int) -> Tensor:
    """(1, 3, S, S) float32 RGB, tiled or cut from the photo."""
    repeats = (-(-size // photo.shape[0]), -(-size // photo.shape[1]), 1)
    pixels = np.tile(photo[..., ::-1], repeats)[:size, :size]
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
