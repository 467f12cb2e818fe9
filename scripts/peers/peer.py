"""What all peers share: the face of `edge_passd.Detector` around a network of another kind."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_passd import boxes as geometry
from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from edge_passd.postprocess import nms, select
from edge_passd.preprocess import Placement, place, to_photo

THRESHOLD = 0.01  # of the score, as for edge-passd's own models

# Where the data sets' animals stand among the classes, counted from 0.
COCO = {"cat": 15, "dog": 16, "horse": 17, "sheep": 18, "cow": 19}
COCO_WITH_GAPS = {name: column + 1 for name, column in COCO.items()}  # ids up to 90, some unused
VOC = {"cat": 7, "cow": 9, "dog": 11, "horse": 12, "sheep": 16}


@dataclass(frozen=True)
class Published:
    """A peer as its authors publish it.

    name: as they write it. kind: its class. folder, files: where its weights lie; the last file is
    the largest. engine, library: what computes, and its module. input_size: pixels. data: that it
    was trained on. known: columns of its classes. nms_iou: above which boxes of a class are
    suppressed; 1 for never.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    kind: type[Peer]
    engine: str
    library: str
    input_size: int
    data: str
    known: Mapping[str, int]
    nms_iou: float
    precision: str = "fp32"
    resize: str = "stretch"


class Peer(ABC):
    """A loaded peer. See `edge_passd.any_detector.AnyDetector`.

    classes: those to detect. columns: theirs among the network's classes. Raises BadInput for a
    class that it does not know and files that it cannot load.
    """

    def __init__(
        self,
        published: Published,
        files: Sequence[Path],
        classes: tuple[str, ...],
        threads: int | None,
    ) -> None:
        self.engine = published.engine
        self.model_sha256 = digest(files)
        self.columns = columns(published, classes)
        self.info = ModelInfo(
            published.name,
            classes,
            published.input_size,
            published.resize,
            THRESHOLD,
            nms_iou=published.nms_iou,
            precision=published.precision,
            training={"data": published.data},
        )
        self.load(files, threads)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.info.classes

    @abstractmethod
    def load(self, files: Sequence[Path], threads: int | None) -> None:
        """Load the network; threads: None for its library's choice. BadInput if it is broken."""

    @abstractmethod
    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        """(H, W, 3) uint8 BGR to the network's input and the photo's placement in it."""

    @abstractmethod
    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        """The network's input to its raw outputs."""

    @abstractmethod
    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raw outputs to boxes (K, 4), corners in input pixels, and scores (K, classes).

        K are those with a score of `THRESHOLD` or more.
        """

    def postprocess(self, *outputs_and_placement: Any) -> Detections:
        """Outputs of `infer`, then the placement, to detections in photo pixels."""
        *outputs, at = outputs_and_placement
        boxes, scores = self.decode(*outputs)
        size = self.info.input_size
        inside = geometry.clip(boxes, size, size)
        background = np.zeros((len(scores), 1), scores.dtype)
        inside, best, labels = select(
            inside, np.hstack([background, scores]), THRESHOLD, self.info.max_detections
        )
        kept = nms(inside, best, labels, self.info.nms_iou)
        boxes = to_photo(inside[kept], at)
        on_photo = geometry.area(boxes) > 0
        return Detections(
            boxes[on_photo], best[kept][on_photo], labels[kept][on_photo], self.classes
        )

    def detect(self, image: np.ndarray) -> Detections:
        """All three stages."""
        tensor, placement = self.preprocess(image)
        return self.postprocess(*self.infer(tensor), placement)


def columns(published: Published, classes: Sequence[str]) -> np.ndarray:
    """(C,) int: of the classes among the network's; BadInput for one that it was not trained on."""
    if unknown := [name for name in classes if name not in published.known]:
        raise BadInput(
            f"{published.name} cannot be compared on {unknown[0]}: of {published.data} only "
            f"{', '.join(published.known)} are mapped; give a data set of those"
        )
    return np.array([published.known[name] for name in classes])


def digest(files: Sequence[Path]) -> str:
    """Hexadecimal sha256 of all the files together; BadInput if one cannot be read."""
    content = hashlib.sha256()
    for path in files:
        if not path.is_file():
            raise BadInput(f"no such file: {path}; give the folder of the peers with --peers")
        content.update(path.read_bytes())
    return content.hexdigest()


def likely(scores: np.ndarray) -> np.ndarray:
    """Indices of the rows of (N, C) scores that are worth decoding."""
    return np.flatnonzero((scores >= THRESHOLD).any(axis=1))


def corners(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(K, 2) x, y and (K, 2) width, height to (K, 4) x1 y1 x2 y2."""
    return np.hstack([centres - sizes / 2, centres + sizes / 2])


def grid(height: int, width: int) -> np.ndarray:
    """(height * width, 2) float32: column and row of every cell, row by row."""
    rows, columns = np.divmod(np.arange(height * width, dtype=np.float32), np.float32(width))
    return np.stack([columns, rows], axis=1)


def stretched(image: np.ndarray, size: int) -> tuple[np.ndarray, Placement]:
    """(H, W, 3) uint8 to (size, size, 3), whatever its aspect ratio, and the placement."""
    return cv2.resize(image, (size, size)), place(image.shape[1], image.shape[0], size, "stretch")


def letterboxed(image: np.ndarray, size: int) -> tuple[np.ndarray, Placement]:
    """(H, W, 3) uint8 to (size, size, 3) with black margins, and the placement."""
    at = place(image.shape[1], image.shape[0], size, "letterbox")
    inner = cv2.resize(image, (at.inner_width, at.inner_height))
    right, bottom = size - at.left - at.inner_width, size - at.top - at.inner_height
    return cv2.copyMakeBorder(inner, at.top, bottom, at.left, right, cv2.BORDER_CONSTANT), at
