"""Small models with random weights, as exported, and the one that ships with the package."""

from __future__ import annotations

from functools import cache

import onnx
import pytest
import torch
from torch import nn

from edge_passd.detector import default_model
from quant.engine import model_info
from quant.export.graph import to_onnx, with_metadata
from quant.model import ModelConfig
from quant.training.trainer import random_model
from tests.export.conftest import livelier

UNCLIPPED = ModelConfig(
    tuple(f"class {i}" for i in range(20)), 192, (0.5, 0.8, 1.0, 1.3, 1.7), "unclipped"
)
ONE_ANCHOR = ModelConfig(("cat",), 64, (1.0,))


@pytest.fixture(scope="session")
def shipped() -> onnx.ModelProto:
    """In int8, 320 px."""
    return onnx.load(default_model())


@pytest.fixture(scope="session")
def one_anchor() -> onnx.ModelProto:
    """In float, 64 px. Not to be changed."""
    return exported(ONE_ANCHOR)


@pytest.fixture(scope="session")
def unclipped() -> onnx.ModelProto:
    """In float, 192 px. Not to be changed."""
    return exported(UNCLIPPED)


@cache  # by the fixtures of several rooms
def exported(config: ModelConfig) -> onnx.ModelProto:
    model, random = livelier(random_model(config, seed=0)), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # else the exporter leaves out all biases
                module.bias.normal_(0, 0.1, generator=random)
        model.attend.bias.normal_(0, 0.3, generator=random)
    return with_metadata(to_onnx(model), model_info(model, {}))
