"""SSD on a quantised MobileNet-v1, whose graph decodes and suppresses boxes itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.preprocess import Placement
from edge_passd.quiet import quiet_stderr
from peers.peer import Peer, likely, stretched


class SsdMobileNet(Peer):
    """files: .tflite."""

    def load(self, files: Sequence[Path], threads: int | None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with quiet_stderr():  # it announces XNNPACK there
                self._interpreter = Interpreter(str(files[0]), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise BadInput(f"{files[0]}: {self.engine} cannot load it: {error}") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        square, at = stretched(image, self.info.input_size)
        return cv2.cvtColor(square, cv2.COLOR_BGR2RGB)[None], at

    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(index) for index in self._outputs)

    def decode(self, *outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return decode(outputs, self.info.input_size, self.columns)


def decode(
    outputs: Sequence[np.ndarray], size: int, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (K, 4) in input pixels and scores (K, C) of the wanted columns.

    outputs: boxes (1, M, 4) as y1 x1 y2 x2 in parts of the input, classes (1, M), scores (1, M) and
    how many of the M there are (1,); all float32. size: of the input, pixels.
    """
    boxes, classes, values, count = outputs
    there = slice(int(count[0]))
    one_hot = classes[0, there, None] == columns
    scores = np.where(one_hot, values[0, there, None], np.float32(0))
    rows = likely(scores)
    return size * boxes[0, there][rows][:, [1, 0, 3, 2]], scores[rows]
