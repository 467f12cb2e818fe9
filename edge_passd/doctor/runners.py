"""Engines on models that are not edge-passd's: any inputs and outputs, by name.

Each runner is for a child process; its library is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.engines.table import ENGINES, ONNX, TFLITE

Arrays = Mapping[str, np.ndarray]
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Model:
    """inputs: shape, None where the model leaves it open, and dtype of each."""

    inputs: Mapping[str, tuple[Shape, np.dtype]]
    run: Callable[[Arrays], Arrays]


def onnxruntime_model(path: Path) -> Model:
    """Raises whatever the library does, as do the others."""
    import onnxruntime

    from edge_passd.engines.onnxruntime import DISABLED_OPTIMISERS

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED_OPTIMISERS
    )
    names = [each.name for each in session.get_outputs()]
    return Model(
        {each.name: (_shape(each.shape), _ort_dtype(each.type)) for each in session.get_inputs()},
        lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True)),
    )


def openvino_model(path: Path) -> Model:
    import openvino

    from edge_passd.engines.openvino import read_model

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(read_model(path), "CPU", settings)

    def run(inputs: Arrays) -> Arrays:
        results = compiled(dict(inputs))
        return {each.any_name: results[each] for each in compiled.outputs}

    return Model(
        {
            each.any_name: (
                tuple(n.get_length() if n.is_static else None for n in each.partial_shape),
                np.dtype(each.element_type.to_dtype()),
            )
            for each in compiled.inputs
        },
        run,
    )


def tflite_model(path: Path) -> Model:
    interpreter_class = import_module(f"{ENGINES['tflite'].library}.interpreter").Interpreter
    runner = interpreter_class(model_path=str(path)).get_signature_runner()
    return Model(
        {
            name: (tuple(int(n) for n in each["shape"]), np.dtype(each["dtype"]))
            for name, each in runner.get_input_details().items()
        },
        lambda inputs: runner(**inputs),
    )


# By the engine's name: its runner and the suffix of the files it takes.
RUNNERS: dict[str, tuple[Callable[[Path], Model], str]] = {
    "onnxruntime": (onnxruntime_model, ONNX[0]),
    "openvino": (openvino_model, ONNX[0]),
    "tflite": (tflite_model, TFLITE[0]),
}

_ORT_DTYPES = {
    "float": np.float32, "float16": np.float16, "double": np.float64, "bool": np.bool_,
}  # fmt: skip


def _ort_dtype(name: str) -> np.dtype:
    """Of "tensor(float)"."""
    inner = name.removeprefix("tensor(").removesuffix(")")
    return np.dtype(_ORT_DTYPES.get(inner, inner))


def _shape(dimensions: list[Any]) -> Shape:
    return tuple(each if isinstance(each, int) else None for each in dimensions)
