"""The named operator `edge_passd.OffsetSample` in torch and in ONNX.

The exported graph holds it as one node, so that each consumer can put its fastest form there:
OpenVINO's engine a GridSample, TVM its own kernel. For everyone else the file carries the operator
as an ONNX local function in gather form, the fastest in onnxruntime, which inlines it by itself.
What it computes: `edge_passd.offset_sample`.
"""

from __future__ import annotations

import onnx
import torch
from torch import Tensor

from edge_passd.offset_sample import DOMAIN, NAME
from quant.export.gather import DOMAIN_VERSION, OffsetSample
from quant.model.offset_conv import TAPS

OPSET = 18


def as_operator(projected: Tensor, boxes: Tensor) -> Tensor:
    """Stands in for `offset_sample` in a model to export: traces to one node of that name."""
    _, anchors, _, height, width = boxes.shape
    outputs = projected.shape[1] // (anchors * TAPS)
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{NAME}",
        (projected, boxes),
        {"anchors": anchors, "outputs": outputs},
        dtype=projected.dtype,
        shape=(1, anchors, outputs, height, width),
        version=DOMAIN_VERSION,
    )


def function() -> onnx.FunctionProto:
    """The operator as an ONNX local function."""
    return OffsetSample.to_function_proto()
