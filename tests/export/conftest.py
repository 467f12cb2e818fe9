"""A small run folder with random weights, and a data set of real photos for the gate."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from skimage import data as photographs

from quant.export.export import ExportOptions, export
from quant.int8.run import calibrate_only
from quant.int8.scheme import Scheme
from quant.model import PASSD, ModelConfig
from quant.model.config import HEADS
from quant.model.layers import ConvNorm
from quant.run_folder import RunFolder
from quant.tensors import write_tensors
from quant.training.trainer import random_model

SIZE, INT8_SIZE = 128, 64


def livelier(model: PASSD) -> PASSD:
    """Weights large enough that boxes move and scores differ, as after a training."""
    with torch.no_grad():
        model.attend.projection.weight.mul_(60)
        if model.propose is not None:
            model.propose.offsets.weight.mul_(3)
    return model


def decided(model: PASSD) -> PASSD:
    """Weights whose detections do not hang on the last bit of an int8 value, as after a training.

    A random network multiplies each difference in rounding on its way up. So here the first box of
    every cell shows a cat and the others show nothing, by a wide margin; the boxes are small enough
    to keep clear of each other, and move and stretch with the picture. One channel is dead.
    """
    assert model.propose is not None
    assert model.propose.offsets.bias is not None
    anchors = model.attend.anchors
    with torch.no_grad():
        model.propose.offsets.bias.view(anchors, 4)[:, 2:] = -1.2
        model.attend.projection.weight.mul_(16)
        model.attend.bias[0, 1] = model.attend.bias[1:, 0] = 6.0
        layer = model.get_submodule("backbone.blocks.0.pointwise")
        assert isinstance(layer, ConvNorm)
        layer.conv.weight[3] *= 1e-12
        layer.norm.bias[3] = 2.0
    return model


@pytest.fixture(scope="session")
def photo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    (root / "images").mkdir()
    images = []
    for number, name in enumerate(("chelsea", "astronaut", "coffee"), start=1):
        picture = getattr(photographs, name)()
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), np.ascontiguousarray(picture[..., ::-1]))
        height, width = picture.shape[:2]
        images.append({"id": number, "file_name": f"{name}.jpg", "width": width, "height": height})
    document = {
        "images": images,
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 20, 300, 250]},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [20, 0, 400, 510]},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "person"}],
    }
    for split in ("train", "val"):
        (root / f"{split}.json").write_text(json.dumps(document))
    return root


def make_run(path: Path, photo_set: Path, head: str = "propose-attend", seed: int = 0) -> Path:
    """A run folder as a training leaves it."""
    config = ModelConfig(("cat", "person"), SIZE, **HEADS[head])
    return write_run(path, photo_set, livelier(random_model(config, seed)))


def write_run(path: Path, photo_set: Path, model: PASSD) -> Path:
    run, config = RunFolder(path), model.config
    write_tensors(run.best, model.state_dict(), {})
    run.write_model(config, {"AP": 0.5, "epoch": 3, "images": 3})
    run.training.write_text(json.dumps({"data": str(photo_set)}))
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, photo_set: Path) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), photo_set)


@pytest.fixture(scope="session")
def float_file(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of `run_folder`."""
    path = tmp_path_factory.mktemp("float_file") / "model.onnx"
    export(ExportOptions(run_folder, path), Console(quiet=True))
    return path


@pytest.fixture(scope="session")
def int8_run(tmp_path_factory: pytest.TempPathFactory, photo_set: Path) -> Path:
    """A run folder that `qat --ptq` made."""
    folder = tmp_path_factory.mktemp("int8")
    model = decided(random_model(ModelConfig(("cat", "person"), INT8_SIZE), seed=0))
    source = write_run(folder / "float", photo_set, model)
    calibrate_only(source, folder / "int8", photo_set, Scheme(photos=3), Console(quiet=True))
    return folder / "int8"


@pytest.fixture(scope="session")
def int8_file(int8_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Its export, and what was said meanwhile."""
    path, screen = tmp_path_factory.mktemp("int8_file") / "model.onnx", io.StringIO()
    export(ExportOptions(int8_run, path), Console(file=screen, width=60))
    return path, screen.getvalue()
