"""Norms folded into their convolutions compute what they did before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from quant.model import ModelConfig
from quant.model.folding import fold_norms
from quant.model.layers import ConvNorm
from quant.training.trainer import random_model


def trained_norm(norm: nn.BatchNorm2d, generator: torch.Generator) -> None:
    """Weights and statistics that differ from channel to channel, one of them tiny."""
    shape = norm.weight.shape
    with torch.no_grad():
        norm.weight.copy_(torch.randn(shape, generator=generator))
        norm.bias.copy_(torch.randn(shape, generator=generator) + 1)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(torch.randn(shape, generator=generator))
        norm.running_var.copy_(torch.rand(shape, generator=generator))
        norm.running_var[0] = 1e-12


@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(3, 1, 1), (3, 2, 1), (3, 1, 4), (3, 2, 4), (1, 1, 1)]
)
def test_a_frozen_layer_is_convolution_then_norm_then_relu6(
    kernel: int, stride: int, groups: int
) -> None:
    generator = torch.Generator().manual_seed(kernel * 10 + stride)
    layer = ConvNorm(4, 8, kernel, stride, groups).double()
    trained_norm(layer.norm, generator)
    layer.eval()
    x = torch.randn(2, 4, 7, 6, generator=generator, dtype=torch.float64) * 3
    separate = nn.functional.relu6(layer.norm(layer.conv(x)))
    assert ((separate == 0) | (separate == 6)).any()  # the activation takes part
    torch.testing.assert_close(layer(x), separate, rtol=0, atol=1e-12)
    assert layer(x).shape == (2, 8, -(-7 // stride), -(-6 // stride))


def test_a_training_layer_uses_the_statistics_of_its_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = ConvNorm(3, 5).double().train()
    x = torch.randn(4, 3, 6, 6, generator=generator, dtype=torch.float64)
    y = layer.conv(x)
    mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
    wanted = (y - mean[:, None, None]) / (variance[:, None, None] + 1e-3).sqrt()
    torch.testing.assert_close(layer(x), wanted.clamp(0, 6))
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * mean)


@torch.no_grad()
def test_a_folded_model_computes_the_same_without_norms() -> None:
    generator = torch.Generator().manual_seed(1)
    model = random_model(ModelConfig(("cat",), 64), seed=0).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            trained_norm(module, generator)
            module.weight.abs_()
    model.eval()
    pixels = torch.rand(2, 3, 64, 64, generator=generator, dtype=torch.float64) * 255
    wanted = model(pixels)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    folded = fold_norms(model)
    assert not any(isinstance(m, nn.BatchNorm2d | ConvNorm) for m in folded.modules())
    assert not folded.training
    for mine, theirs in zip(folded(pixels), wanted, strict=True):
        assert isinstance(mine, Tensor)
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    for name, value in model.state_dict().items():  # the original stays as it is
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
