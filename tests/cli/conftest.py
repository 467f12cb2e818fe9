"""Data and runs for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant.model import ModelConfig
from quant.training.trainer import random_model
from tests.cli.calls import here
from tests.export.conftest import INT8_SIZE, decided, photo_set, write_run

__all__ = ["here", "photo_set"]


@pytest.fixture(scope="session")
def float_run(photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as a training leaves it, 64 px."""
    model = decided(random_model(ModelConfig(("cat", "person"), INT8_SIZE), seed=0))
    return write_run(tmp_path_factory.mktemp("runs") / "float", photo_set, model)
