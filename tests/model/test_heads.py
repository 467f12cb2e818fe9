"""Every row of the ablation is a model that runs and learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_passd import boxes as geometry
from quant.model import PASSD, ModelConfig
from quant.model.config import HEADS
from quant.training.loss import DefaultBoxes, passd_loss
from quant.training.trainer import random_model

SIZE = 64


def random_head(head: str, **changes: object) -> PASSD:
    config = ModelConfig(("cat", "cup"), SIZE, **{**HEADS[head], **changes})
    return random_model(config, seed=0).eval()


@pytest.fixture(scope="module")
def images(photo: np.ndarray) -> Tensor:
    """(2, 3, 64, 64) uint8 RGB: two corners of a photo."""
    cuts = [photo[:SIZE, :SIZE], photo[100 : 100 + SIZE, 100 : 100 + SIZE]]
    return torch.from_numpy(np.stack(cuts)[..., ::-1].copy()).permute(0, 3, 1, 2)


def loss_of(model: PASSD, images: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The loss with an object right on one default box of each level; positives by stage."""
    defaults = DefaultBoxes.of(model.config, SIZE, torch.device("cpu"))
    objects = defaults.corners[torch.tensor([[100, 215], [245, 252]])]
    labels, ignored = torch.tensor([[0, 1], [1, 0]]), torch.zeros(2, 2, dtype=torch.bool)
    clipped = model.config.propose == "clipped"
    stages = passd_loss(model(images), defaults, objects, labels, ignored, clipped)
    total = sum((s.classification + s.regression) / s.positives for s in stages.values())
    assert isinstance(total, Tensor)
    return total, {name: float(stage.positives) for name, stage in stages.items()}


@pytest.mark.parametrize("head", HEADS)
def test_each_head_trains_a_step(head: str, images: Tensor) -> None:
    model = random_head(head)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4)
    before, positives = loss_of(model, images)
    assert set(positives) == ({"attend"} if head == "plain" else {"propose", "attend"})
    assert all(count > 0 for count in positives.values())
    before.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
    optimiser.step()
    after, _ = loss_of(model, images)
    assert after.detach() < before.detach()


def test_pixels_may_be_bytes_or_floats(images: Tensor) -> None:
    model = random_head("propose-attend")
    with torch.inference_mode():
        for of_bytes, of_floats in zip(model(images), model(images.float()), strict=True):
            torch.testing.assert_close(of_bytes, of_floats, rtol=0, atol=0)


@torch.inference_mode()
def test_normalisation_is_part_of_the_model(images: Tensor) -> None:
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    model = random_head("propose-attend", mean=mean, std=std)
    plain = random_head("propose-attend", mean=(0.0,) * 3, std=(1.0,) * 3)
    normalised = (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(model(images).logits, plain(normalised).logits)


@torch.inference_mode()
def test_a_deformable_head_starts_as_a_plain_convolution(images: Tensor) -> None:
    deformable, plain = random_head("propose-deformable").double(), random_head("propose").double()
    weights = deformable.state_dict()
    learned = {k: weights.pop(k) for k in list(weights) if "tap_offsets" in k}
    assert learned
    plain.load_state_dict(weights)
    for parameter in deformable.attend.tap_offsets.parameters():
        parameter.zero_()
    torch.testing.assert_close(deformable(images).logits, plain(images).logits)


@pytest.mark.parametrize("moves", [False, True])
def test_sampling_points_move_only_when_asked_to(moves: bool, images: Tensor) -> None:
    model = random_head("propose-attend", point_gradient=moves)
    model(images).logits.square().sum().backward()
    assert model.propose is not None
    gradient = model.propose.offsets.weight.grad
    assert (gradient is not None and bool(gradient.abs().sum() > 0)) == moves


@torch.inference_mode()
def test_an_unclipped_centre_leaves_its_cell_and_a_clipped_one_does_not(images: Tensor) -> None:
    strides = geometry.box_strides(SIZE)[:, None]
    moved = {}
    for head in ("propose-unclipped", "propose"):
        model = random_head(head)
        assert model.propose is not None
        assert model.propose.offsets.bias is not None
        model.propose.offsets.bias.fill_(0.9)
        shift = model(images).adjusted[0].numpy() - geometry.default_boxes(SIZE)
        moved[head] = np.abs(shift[:, :2]) / strides
    assert moved["propose-unclipped"].min() > 3  # 0.9 of a box of 4 strides
    assert 0.3 < moved["propose"].min() < moved["propose"].max() <= 0.5
