"""YOLO detectors in darknet's format: Yolo-Fastest 1.1 and MobileNetV2-YOLOv3-Nano, by OpenCV 4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.preprocess import Placement
from peers.peer import Peer, corners, likely, stretched


class Darknet(Peer):
    """files: .cfg and .weights."""

    def load(self, files: Sequence[Path], threads: int | None) -> None:
        if not hasattr(cv2.dnn, "readNetFromDarknet"):
            raise BadInput(
                f"{self.info.name}: OpenCV {cv2.__version__} does not read darknet's files, "
                "OpenCV 4 does; run scripts/setup_peers and measure with .peers/bin/python"
            )
        if threads:
            cv2.setNumThreads(threads)
        try:
            self._network = cv2.dnn.readNetFromDarknet(*map(str, files))
        except cv2.error as error:
            reason = error.err.strip() or "not darknet's format"
            raise BadInput(f"{files[0]}: OpenCV cannot load it: {reason}") from error
        self._outputs = self._network.getUnconnectedOutLayersNames()

    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        square, at = stretched(image, self.info.input_size)
        return cv2.dnn.blobFromImage(square, 1 / 255, swapRB=True), at

    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        self._network.setInput(tensor)
        return tuple(self._network.forward(self._outputs))

    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return decode(outputs, self.info.input_size, self.columns)


def decode(
    outputs: Sequence[np.ndarray], size: int, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (K, 4) in input pixels and scores (K, C) of the wanted columns.

    outputs: for each level (boxes, 5 + classes): centre and size in parts of the input, objectness,
    and the classes' scores, which OpenCV has multiplied with it. size: of the input, pixels.
    """
    cells = np.vstack(outputs)
    scores = cells[:, 5 + columns]
    rows = likely(scores)
    return size * corners(cells[rows, :2], cells[rows, 2:4]), scores[rows]
