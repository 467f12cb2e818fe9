"""A small run folder with random weights, and a data set of real photos for the gate."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data as photographs

from quant.model import PASSD, ModelConfig
from quant.model.config import HEADS
from quant.run_folder import RunFolder
from quant.tensors import write_tensors
from quant.training.trainer import random_model

SIZE = 128


def livelier(model: PASSD) -> PASSD:
    """Weights large enough that boxes move and scores differ, as after a training."""
    with torch.no_grad():
        model.attend.projection.weight.mul_(60)
        if model.propose is not None:
            model.propose.offsets.weight.mul_(3)
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
    run = RunFolder(path)
    config = ModelConfig(("cat", "person"), SIZE, **HEADS[head])
    model = livelier(random_model(config, seed))
    write_tensors(run.best, model.state_dict(), {})
    run.write_model(config, {"AP": 0.5, "epoch": 3, "images": 3})
    run.training.write_text(json.dumps({"data": str(photo_set)}))
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, photo_set: Path) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), photo_set)
