"""TFLite on the CPU, XNNPACK included, from LiteRT or from its predecessor tflite-runtime."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.engines.base import INPUT, OUTPUTS, check_image, check_model
from edge_passd.engines.table import ENGINES
from edge_passd.errors import BadInput
from edge_passd.quiet import quiet_stderr
from edge_passd.tflite_file import read

PREDECESSOR = "tflite_runtime"


class TfliteEngine:
    """See `edge_passd.engines.base.Engine`."""

    name = "tflite"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        model, self.metadata = read(path)
        interpreter_class = _interpreter_class()
        try:
            # Its own default is one thread. It announces XNNPACK on stderr.
            with quiet_stderr():
                self._interpreter = interpreter_class(
                    model_content=model, num_threads=threads or os.cpu_count()
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BadInput(
                f"{path}: tflite cannot load it: {_first_line(error)}; "
                "take a newer TFLite or export it again"
            ) from error
        inputs, outputs = _signature(self._interpreter)
        shapes = {name: tuple(int(n) for n in each["shape"]) for name, each in inputs.items()}
        self._size = check_model(path, self.metadata, shapes, list(outputs)).input_size
        self._path = path
        self._input = inputs[INPUT]["index"]
        self._outputs = [outputs[name]["index"] for name in OUTPUTS]

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_image(image, self._size)
        self._interpreter.set_tensor(self._input, image)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:  # a NaN among the sampling points is no index of a table
            raise BadInput(
                f"{self._path} is broken: tflite cannot compute it ({_first_line(error)}); "
                "train or export it again"
            ) from error
        boxes, scores = (self._interpreter.get_tensor(index) for index in self._outputs)
        return boxes, scores


def _interpreter_class() -> Any:
    library = ENGINES[TfliteEngine.name].library
    if library == PREDECESSOR and int(np.__version__.split(".")[0]) > 1:
        raise BadInput(
            f"tflite-runtime does not work with NumPy {np.__version__}: "
            'pip install "edge-passd[tflite]", or "edge-passd[tflite-runtime]" for NumPy 1'
        )
    return import_module(f"{library}.interpreter").Interpreter


def _signature(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Details of the inputs and outputs by name; none for a model without one signature."""
    if len(interpreter.get_signature_list()) != 1:
        return {}, {}
    runner = interpreter.get_signature_runner()
    return runner.get_input_details(), runner.get_output_details()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
