"""How much of a model an engine really computes on integers, from what the engine itself says.

An int8 file is a wish: an engine that finds no integer kernel for a convolution runs it in float,
silently and slower.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from edge_passd.engines.base import INPUT


class Convolution(NamedTuple):
    """One that an engine executed: multiply-adds, and whether on 8-bit integers."""

    macs: int
    integer: bool


@dataclass(frozen=True)
class IntegerShare:
    """Convolutions and their multiply-adds (MACs), of which on 8-bit integers."""

    engine: str
    convolutions: int
    integer_convolutions: int
    macs: int
    integer_macs: int

    @classmethod
    def of(cls, engine: str, convolutions: Iterable[Convolution]) -> IntegerShare:
        each = list(convolutions)
        integer = [conv for conv in each if conv.integer]
        return cls(
            engine,
            len(each),
            len(integer),
            sum(conv.macs for conv in each),
            sum(conv.macs for conv in integer),
        )

    def __str__(self) -> str:
        share = self.integer_macs / self.macs if self.macs else 0.0
        return (
            f"{self.engine}: {self.integer_convolutions} of {self.convolutions} convolutions and "
            f"{share:.1%} of their {self.macs / 1e9:.2f} G multiply-adds on integers"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def integer_share(path: Path, engine: str, size: int) -> IntegerShare:
    """Ask an engine of `SHARES` what it did with the model at `path`; size: of the input."""
    return IntegerShare.of(engine, SHARES[engine](path, size))


def _onnxruntime(path: Path, size: int) -> list[Convolution]:
    """Output shapes and types from the profile of one run, weights from the optimised graph."""
    import onnxruntime

    from edge_passd.engines.onnxruntime import DISABLED_OPTIMISERS

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.optimized_model_filepath = str(optimised)
        session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=DISABLED_OPTIMISERS,
        )
        session.run(None, {INPUT: np.zeros((1, 3, size, size), np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text())
        graph = onnx.load(optimised).graph
    executed = {event["name"]: event["args"] for event in events if event["cat"] == "Node"}
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type.endswith("Conv"):
            about = executed[f"{node.name}_kernel_time"]
            (dtype, _), *_ = about["input_type_shape"][0].items()
            (output,) = about["output_type_shape"][0].values()
            weights = next(shapes[name] for name in node.input if len(shapes.get(name, ())) == 4)
            macs = math.prod(output) * math.prod(weights[1:])
            found.append(Convolution(macs, dtype in ("uint8", "int8")))
    return found


def _openvino(path: Path, size: int) -> list[Convolution]:
    """From the compiled graph, which names each node's kernel and the type it computes in."""
    import openvino

    from edge_passd.engines.openvino import read_model

    compiled = openvino.Core().compile_model(
        read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = node.get_rt_info()
        if about["layerType"].astype(str) == "Convolution":
            kernel = about["primitiveType"].astype(str)
            weights = node.input_value(1).get_shape()
            macs = math.prod(node.output(0).get_shape()) * math.prod(weights) // weights[0]
            found.append(Convolution(macs, kernel.endswith("I8")))
    return found


def _tflite(path: Path, size: int) -> list[Convolution]:
    """From the file: its operations are what is executed, in the types of their tensors."""
    from ai_edge_litert import schema_py_generated as schema

    from edge_passd.tflite_file import read

    model = schema.Model.GetRootAs(read(path)[0], 0)
    graph = model.Subgraphs(0)
    found = []
    for operator in (graph.Operators(i) for i in range(graph.OperatorsLength())):
        kind = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        if kind in (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D):
            image, weights = (graph.Tensors(operator.Inputs(i)) for i in range(2))
            # (O, k, k, I), or (1, k, k, O) where each output has an input of its own.
            shape = weights.ShapeAsNumpy()
            depth = shape[-1] if kind == schema.BuiltinOperator.CONV_2D else 1
            output = graph.Tensors(operator.Outputs(0)).ShapeAsNumpy()
            macs = int(output.prod() * shape[1:-1].prod() * depth)
            found.append(Convolution(macs, image.Type() == schema.TensorType.INT8))
    return found


SHARES = {"onnxruntime": _onnxruntime, "openvino": _openvino, "tflite": _tflite}
