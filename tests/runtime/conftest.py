from __future__ import annotations

import sys
from pathlib import Path

import fake_bundles
import fake_models
import numpy as np
import pytest
from media import fill_album
from skimage import data

from edge_passd.detector import Detector

# tflite-runtime exists for these only; on others there is nothing to test.
if sys.platform != "linux" or sys.version_info >= (3, 12):
    collect_ignore = ["test_tflite_runtime.py"]


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    """(300, 451, 3) BGR."""
    return np.ascontiguousarray(data.chelsea()[..., ::-1])


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """(512, 512, 3) BGR."""
    return np.ascontiguousarray(data.astronaut()[..., ::-1])


@pytest.fixture(scope="session")
def coffee() -> np.ndarray:
    """(400, 600, 3) BGR."""
    return np.ascontiguousarray(data.coffee()[..., ::-1])


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that scores red, green and blue by their share in the photo."""
    return fake_models.colour_model(tmp_path_factory.mktemp("model") / "colours.onnx")


@pytest.fixture(scope="session")
def tflite_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a .tflite file."""
    pytest.importorskip("litert_torch")
    path = tmp_path_factory.mktemp("tflite") / "colours.tflite"
    path.write_bytes(fake_models.colour_tflite())
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a .passd bundle."""
    pytest.importorskip("tvm")
    return fake_bundles.colour_bundle(tmp_path_factory.mktemp("bundle") / "colours.passd")


@pytest.fixture(scope="session")
def detector(model: Path) -> Detector:
    return Detector(model, "onnxruntime", threads=1)


@pytest.fixture(scope="session")
def photos(cat: np.ndarray, astronaut: np.ndarray, coffee: np.ndarray) -> dict[str, np.ndarray]:
    """Photos by file name."""
    return {"cat.jpg": cat, "astronaut.png": astronaut, "coffee.jpg": coffee}


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, np.ndarray]) -> Path:
    """A folder of three photos and a text file."""
    return fill_album(tmp_path / "album", photos)
