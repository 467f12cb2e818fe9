"""A small float model, its run folder, and photos to calibrate and train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_passd.samples import DataSet
from quant.data.reader import read_split
from quant.int8.calibrate import calibrate
from quant.int8.convert import quantise
from quant.int8.scheme import Scheme
from quant.model import PASSD, ModelConfig
from quant.run_folder import RunFolder
from quant.tensors import write_tensors
from quant.training.trainer import random_model
from tests.export.conftest import livelier
from tests.training import tiny


@pytest.fixture(scope="session")
def photo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten training and three validation photos in COCO form."""
    return tiny.write_photo_set(tmp_path_factory.mktemp("photos") / "set")


@pytest.fixture(scope="session")
def train(photo_set: Path) -> DataSet:
    return read_split(photo_set, "train")


@pytest.fixture(scope="session")
def photos(train: DataSet) -> list[Path]:
    return [sample.path for sample in train.samples]


@pytest.fixture(scope="session")
def model() -> PASSD:
    """In float, 64 px, with weights of which every output makes some use. Not to be changed."""
    return livelier(random_model(ModelConfig(tiny.CLASSES, tiny.SIZE), seed=0)).eval()


@pytest.fixture(scope="session")
def quantised(model: PASSD, photos: list[Path]) -> PASSD:
    """The model with every layer in int8, calibrated. Not to be changed."""
    scheme = Scheme(photos=4)
    whole = quantise(model, scheme)
    calibrate(whole, photos[:4], scheme)
    return whole


@pytest.fixture(scope="session")
def float_run(model: PASSD, photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as a training of the model leaves it."""
    run = RunFolder(tmp_path_factory.mktemp("runs") / "float")
    write_tensors(run.best, model.state_dict(), {})
    run.write_model(model.config, {"AP": 0.5, "epoch": 3})
    run.training.write_text(f'{{"data": "{photo_set}"}}')
    return run.path
