from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import fake_models
import numpy as np
import pytest
from skimage import data

from edge_passd.detector import Detector


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
def detector(model: Path) -> Detector:
    return Detector(model, "onnxruntime", threads=1)


@pytest.fixture
def album(tmp_path: Path, cat: np.ndarray, astronaut: np.ndarray, coffee: np.ndarray) -> Path:
    """A folder of three photos and a text file."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name, image in (("cat.jpg", cat), ("astronaut.png", astronaut), ("coffee.jpg", coffee)):
        cv2.imwrite(str(folder / name), image)
    (folder / "notes.txt").write_text("three photos\n")
    return folder


@pytest.fixture(scope="session")
def film() -> Callable[..., Path]:
    """Writes a video: frame i is grey of brightness 8 * i % 256."""

    def write(path: Path, frames: int = 12, codec: str = "mp4v", side: int = 64) -> Path:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10.0, (side, side))
        for index in range(frames):
            writer.write(np.full((side, side, 3), 8 * index % 256, np.uint8))
        writer.release()
        return path

    return write
