"""ONNX Runtime on the CPU. It expands the graph's own `OffsetSample` function by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from edge_passd.engines.base import INPUT, OUTPUTS, cannot_load, check_image, check_model
from edge_passd.files import require_file
from edge_passd.model_info import METADATA_KEY

_FATAL = 4  # its log level; errors reach us as exceptions

# It would round the weights of a layer that was kept in float between two integer tensors, and to
# one scale for all channels at that.
DISABLED_OPTIMISERS = ["WeightBiasQuantization"]


class OnnxRuntimeEngine:
    """See `edge_passd.engines.base.Engine`."""

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        require_file(path, "an .onnx model")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        if threads:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=DISABLED_OPTIMISERS,
            )
        except Exception as error:  # its errors share no base class but Exception
            raise cannot_load(path, self.name, error) from error
        self.metadata = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        info = check_model(
            path,
            self.metadata,
            {each.name: tuple(each.shape) for each in self._session.get_inputs()},
            [each.name for each in self._session.get_outputs()],
        )
        self._size = info.input_size

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_image(image, self._size)
        boxes, scores = self._session.run(OUTPUTS, {INPUT: image})
        return boxes, scores
