"""NanoDet-m: anchor-free, a distribution over distances for each side of the box (GFL)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_passd.preprocess import Placement
from peers.ncnn_network import NcnnNetwork
from peers.peer import Peer, grid, letterboxed, likely

STRIDES = (8, 16, 32)
BINS = 8  # of a distance, in strides: 0 to 7
# Of blue, green and red.
MEAN = (103.53, 116.28, 123.675)
DEVIATION = np.array([57.375, 57.12, 58.395], np.float32).reshape(3, 1, 1)

_OUTPUTS = [f"{kind}_pred_stride_{stride}" for kind in ("cls", "dis") for stride in STRIDES]


class NanoDet(Peer):
    """files: .param and .bin."""

    def load(self, files: Sequence[Path], threads: int | None) -> None:
        self._network = NcnnNetwork(files, "input.1", _OUTPUTS, threads)

    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        square, at = letterboxed(image, self.info.input_size)
        return cv2.dnn.blobFromImage(square, mean=MEAN)[0] * (1 / DEVIATION), at

    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        return self._network.run(tensor)

    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return decode(outputs, self.info.input_size, self.columns)


def decode(
    outputs: Sequence[np.ndarray], size: int, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (K, 4) in input pixels and scores (K, C) of the wanted columns.

    outputs: for each stride scores (cells, classes) after the sigmoid, then for each stride logits
    (cells, 4 x BINS) of the distances to left, top, right and bottom. size: of the input, pixels.
    """
    scores = np.vstack([each[:, columns] for each in outputs[: len(STRIDES)]])
    rows = likely(scores)
    sides = [-(-size // stride) for stride in STRIDES]
    strides = np.repeat(np.array(STRIDES, np.float32), np.square(sides))[rows, None]
    centres = np.vstack([grid(side, side) for side in sides])[rows] + np.float32(0.5)
    logits = np.vstack(outputs[len(STRIDES) :])[rows].reshape(-1, 4, BINS)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    distances = weights @ np.arange(BINS, dtype=np.float32) / weights.sum(axis=2)
    boxes = np.hstack([centres - distances[:, :2], centres + distances[:, 2:]]) * strides
    return boxes, scores[rows]
