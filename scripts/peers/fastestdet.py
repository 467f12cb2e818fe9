"""FastestDet: anchor-free, one map of cells at stride 16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_passd.engines.base import cannot_load
from edge_passd.preprocess import Placement
from peers.peer import Peer, corners, grid, likely, stretched


class FastestDet(Peer):
    """files: .onnx."""

    def load(self, files: Sequence[Path], threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                str(files[0]), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base class but Exception
            raise cannot_load(files[0], self.engine, error) from error
        self._input = self._session.get_inputs()[0].name

    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        square, at = stretched(image, self.info.input_size)
        return cv2.dnn.blobFromImage(square, 1 / 255), at

    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(self._session.run(None, {self._input: tensor}))

    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return decode(outputs[0], self.info.input_size, self.columns)


def decode(output: np.ndarray, size: int, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (K, 4) in input pixels and scores (K, C) of the wanted columns.

    output: (1, 5 + classes, H, W): objectness after the sigmoid, four raw box values, classes after
    softmax. size: of the input, pixels.
    """
    height, width = output.shape[2:]
    cells = output[0].reshape(len(output[0]), -1).T
    scores = cells[:, :1] ** 0.6 * cells[:, 5 + columns] ** 0.4
    rows = likely(scores)
    offsets, raw_sizes = cells[rows, 1:3], cells[rows, 3:5]
    centres = (grid(height, width)[rows] + np.tanh(offsets)) / np.array([width, height], np.float32)
    return size * corners(centres, 1 / (1 + np.exp(-raw_sizes))), scores[rows]
