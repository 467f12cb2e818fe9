"""Yolo-FastestV2: three anchors in a cell that share its classes, at strides 16 and 32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_passd.preprocess import Placement
from peers.ncnn_network import NcnnNetwork
from peers.peer import Peer, corners, grid, likely, stretched

# Width and height in pixels, of the finer level first.
ANCHORS = np.array(
    [
        [[12.64, 19.39], [37.88, 51.48], [55.71, 138.31]],
        [[126.91, 78.23], [131.57, 214.55], [279.92, 258.87]],
    ],
    np.float32,
)


class YoloFastestV2(Peer):
    """files: .param and .bin."""

    def load(self, files: Sequence[Path], threads: int | None) -> None:
        self._network = NcnnNetwork(files, "input.1", ["794", "796"], threads)

    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        square, at = stretched(image, self.info.input_size)
        return cv2.dnn.blobFromImage(square, 1 / 255)[0], at

    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        return self._network.run(tensor)

    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return decode(outputs, self.info.input_size, self.columns)


def decode(
    outputs: Sequence[np.ndarray], size: int, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (K, 4) in input pixels and scores (K, C) of the wanted columns.

    outputs: for each level (H, W, 12 + 3 + classes): x, y, width and height of three boxes and
    their objectness, all after the sigmoid, then classes after softmax. size: of the input, pixels.
    """
    levels = [_decode_level(*each, size, columns) for each in zip(outputs, ANCHORS, strict=True)]
    boxes, scores = (np.concatenate(each) for each in zip(*levels, strict=True))
    return boxes, scores


def _decode_level(
    output: np.ndarray, anchors: np.ndarray, size: int, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    height, width, _ = output.shape
    cells = output.reshape(height * width, -1)
    objectness, classes = cells[:, 12:15], cells[:, 15 + columns]
    scores = (objectness[:, :, None] * classes[:, None]).reshape(-1, len(columns))
    rows = likely(scores)
    cell, anchor = np.divmod(rows, len(anchors))
    raw = 2 * cells[:, :12].reshape(-1, 4)[rows]
    stride = np.array([size / width, size / height], np.float32)
    centres = (grid(height, width)[cell] + raw[:, :2] - np.float32(0.5)) * stride
    return corners(centres, raw[:, 2:] ** 2 * anchors[anchor]), scores[rows]
