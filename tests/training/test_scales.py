"""Output scales: what they do in training, and that they are gone without a trace afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quant.model import PASSD, ModelConfig
from quant.model.config import HEADS
from quant.training.scales import set_offset_scales, with_absorbed_scales
from quant.training.trainer import random_model


def lively(head: str) -> PASSD:
    model = random_model(ModelConfig(("cat", "cup"), 64, **HEADS[head]), seed=0).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("propose", "attend")):
                parameter.copy_(torch.randn(parameter.shape) / 10)
    return model


@pytest.mark.parametrize(
    ("head", "layout"),
    [
        ("plain", torch.contiguous_format),
        ("propose-unclipped", torch.contiguous_format),
        ("propose-deformable", torch.contiguous_format),
        ("propose-attend", torch.contiguous_format),
        ("propose-attend", torch.channels_last),
    ],
)
@torch.no_grad()
def test_an_absorbed_model_computes_the_same(head: str, layout: torch.memory_format) -> None:
    model = lively(head)
    pixels = torch.rand(1, 3, 64, 64, dtype=torch.float64) * 255
    plain = model(pixels)
    set_offset_scales(model)
    model = model.to(memory_format=layout)  # type: ignore[call-overload]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    scaled, absorbed = model(pixels), with_absorbed_scales(model)
    for mine, wanted in zip(absorbed(pixels), scaled, strict=True):
        if wanted is None:
            assert mine is None
        else:
            torch.testing.assert_close(mine, wanted, rtol=1e-6, atol=1e-6)
    assert (scaled.offsets - plain.offsets).abs().max() > 0.01  # the scales did something
    assert torch.equal(absorbed.attend_scale, torch.ones(4))
    assert torch.equal(absorbed.propose_scale, torch.ones(4))
    for name, value in model.state_dict().items():  # the model in training is as it was
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    ("head", "centre"), [("propose-attend", 1.0), ("propose-unclipped", 0.1), ("plain", 0.1)]
)
def test_a_raw_output_of_one_is_one_unit_of_the_loss(head: str, centre: float) -> None:
    model = random_model(ModelConfig(("cat",), 64, **HEADS[head]), seed=0)
    set_offset_scales(model)
    assert torch.equal(model.attend_scale, torch.tensor([0.1, 0.1, 0.2, 0.2]))
    assert torch.equal(model.propose_scale, torch.tensor([centre, centre, 0.2, 0.2]))


def test_scales_are_in_no_file() -> None:
    model = random_model(ModelConfig(("cat",), 64), seed=0)
    set_offset_scales(model)
    assert not [name for name in model.state_dict() if "scale" in name]
    assert all(isinstance(value, Tensor) for value in model.state_dict().values())
