"""Tiny models whose answers are known by arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_passd.engines.base import INPUT, OUTPUTS
from edge_passd.model_info import METADATA_KEY, ModelInfo
from edge_passd.tflite_file import pack, read

SIZE = 64
COLOURS = ("red", "green", "blue")
# One box for each colour, in input pixels; they do not overlap.
COLOUR_BOXES = np.array([[0, 0, 32, 32], [32, 0, 64, 32], [16, 32, 48, 64]], np.float32)
COLOUR_INFO = ModelInfo(name="colours", classes=COLOURS, input_size=SIZE)


def colour_model(
    path: Path, info: ModelInfo | None = COLOUR_INFO, boxes: np.ndarray = COLOUR_BOXES
) -> Path:
    """A model that finds each colour in its own box; the score is the channel's mean / 255."""
    size = info.input_size if info else SIZE
    constants = {
        "axes": np.array([2, 3], np.int64),
        "white": np.float32(255),
        "eye": np.eye(3, dtype=np.float32)[None],
        "column": np.array([1, 3, 1], np.int64),
        "last": np.array([-1], np.int64),
        "one": np.float32(1),
        "fixed": boxes[None].astype(np.float32),
        "nothing": np.float32(0),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "white"], ["shares"]),
        helper.make_node("Reshape", ["shares", "column"], ["shares_column"]),
        helper.make_node("Mul", ["shares_column", "eye"], ["foreground"]),
        helper.make_node("ReduceSum", ["foreground", "last"], ["sums"], keepdims=1),
        helper.make_node("Sub", ["one", "sums"], ["background"]),
        helper.make_node("Concat", ["background", "foreground"], ["scores"], axis=2),
        helper.make_node("Mul", ["shares_column", "nothing"], ["zero"]),
        helper.make_node("Add", ["fixed", "zero"], ["boxes"]),
    ]
    shapes = {"boxes": [1, 3, 4], "scores": [1, 3, 4]}
    return save(path, nodes, {"image": [1, 3, size, size]}, shapes, constants, info)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    constants: dict[str, Any],
    info: ModelInfo | None,
) -> Path:
    def values(shapes: dict[str, list[int]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "fake", values(inputs), values(outputs), tensors)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("edge_passd", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if info:
        helper.set_model_props(model, {METADATA_KEY: info.to_json()})
    onnx.save(model, path)
    return path


def colour_tflite(
    image: str = INPUT,
    shape: tuple[int, ...] = (1, 3, SIZE, SIZE),
    outputs: Sequence[str] = OUTPUTS,
) -> bytes:
    """What `colour_model` computes, as a .tflite file's content.

    image, shape: name and shape of the input; outputs: their names. Others break the contract.
    """
    import torch

    from quant.export.tflite import convert

    eye, fixed = torch.eye(3), torch.from_numpy(COLOUR_BOXES)[None]

    class Colours(torch.nn.Module):
        def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            shares = inputs[image].mean((2, 3))[:, :, None] / 255
            foreground = shares * eye
            background = 1 - foreground.sum(-1, keepdim=True)
            scores = torch.cat([background, foreground], 2)
            return dict(zip(outputs, (fixed + shares * 0, scores), strict=True))

    return pack(convert(Colours().eval(), {image: torch.zeros(shape)}), COLOUR_INFO.to_json())


def without_archive(path: Path) -> bytes:
    """The TFLite model alone, as any other program writes one."""
    return read(path)[0]
