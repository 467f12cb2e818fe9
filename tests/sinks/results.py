"""Results to write, and films to read back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_passd.detections import Detections
from edge_passd.sinks.sink import Result
from edge_passd.sources.source import Frame


def result(
    index: int = 0,
    image: np.ndarray | None = None,
    dogs: int = 1,
    time_s: float = 0.0,
    latency_s: float | None = None,
    events: tuple[dict, ...] = (),
) -> Result:
    image = np.zeros((48, 64, 3), np.uint8) if image is None else image
    found = Detections(
        np.array([[1, 2, 31, 42]] * dogs, np.float32).reshape(-1, 4),
        np.array([0.75] * dogs, np.float32),
        np.zeros(dogs, np.int64),
        ("dog",),
    )
    return Result(Frame(image, "camera:0", index, time_s), found, 0.01, latency_s, events)


def frames(path: Path) -> list[np.ndarray]:
    """Every picture that can be read."""
    capture, pictures = cv2.VideoCapture(str(path)), []
    while True:
        ok, picture = capture.read()
        if not ok or picture is None:
            return pictures
        pictures.append(picture)
