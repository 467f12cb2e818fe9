"""The paper's arithmetic: parameters, levels and boxes (Tables 1 and 6, section 5)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_passd.boxes import default_boxes
from quant.model import PASSD, ModelConfig, Prediction
from quant.model.config import HEADS


def names(count: int) -> tuple[str, ...]:
    return tuple(f"class{i}" for i in range(count))


def weightless(config: ModelConfig) -> PASSD:
    """A model without memory for its weights: enough to count them."""
    with torch.device("meta"):
        return PASSD(config)


@torch.inference_mode()
def predicted(model: PASSD, size: int) -> Prediction:
    return model.eval()(torch.zeros(1, 3, size, size))


def count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("classes", "total", "attend"),
    [(20, 6_319_005, 172_875), (80, 6_733_905, 587_775)],
    ids=["VOC", "COCO"],
)
def test_parts_have_the_parameters_of_the_specification(
    classes: int, total: int, attend: int
) -> None:
    model = weightless(ModelConfig(names(classes)))
    assert count(model.backbone) == 3_206_976
    assert count(model.pyramid.extra) == 536_576
    assert count(model.pyramid.laterals) == 590_848
    assert count(model.pyramid.smoothing) == 1_770_240
    assert count(model.propose) == 41_490
    assert count(model.attend) == attend
    assert count(model) == total


@pytest.mark.parametrize("head", HEADS)
def test_only_the_propose_stage_and_learned_offsets_cost_parameters(head: str) -> None:
    full = 6_319_005
    without_propose = full - 41_490 if HEADS[head]["propose"] == "none" else full
    # Deformable: one 3x3 convolution from 256 channels to 9 offset pairs, with bias.
    learned = 256 * 18 * 9 + 18 if HEADS[head]["attend"] == "deformable" else 0
    assert count(weightless(ModelConfig(names(20), **HEADS[head]))) == without_propose + learned


@pytest.mark.parametrize(
    ("size", "levels", "boxes"),
    [
        (64, 4, 3 * (64 + 16 + 4 + 1)),
        (320, 4, 6_375),
        (512, 4, 16_320),
        (768, 5, 3 * (96**2 + 48**2 + 24**2 + 12**2 + 6**2)),
    ],
)
def test_boxes_of_each_input_size(size: int, levels: int, boxes: int) -> None:
    model = PASSD(ModelConfig(names(20), input_size=size))
    assert len(model.config.strides) == levels
    assert len(model.pyramid.laterals) == levels
    assert len(model.pyramid.smoothing) == levels - 1
    prediction = predicted(model, size)
    assert prediction.objectness is not None
    assert prediction.objectness.shape == (1, boxes, 2)
    assert prediction.adjusted.shape == prediction.offsets.shape == (1, boxes, 4)
    assert prediction.logits.shape == (1, boxes, 21)
    assert len(default_boxes(size)) == boxes


@pytest.mark.parametrize("classes", [1, 2, 80])
def test_any_number_of_classes_from_one_up(classes: int) -> None:
    model = PASSD(ModelConfig(names(classes), input_size=64))
    assert predicted(model, 64).logits.shape == (1, 255, classes + 1)


def test_a_model_takes_other_sizes_with_as_many_levels() -> None:
    model = PASSD(ModelConfig(names(3), input_size=320))
    for size in (64, 192, 256):
        assert predicted(model, size).adjusted.shape[1] == len(default_boxes(size))
