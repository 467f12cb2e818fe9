"""`edge_passd.OffsetSample` as ONNX's GridSample, instead of the gather form that a file carries.

Which of the two onnxruntime runs faster depends on the model and the threads, so a fair comparison
measures both. onnxscript compiles the function below; it is never run as Python.
"""

# mypy: ignore-errors
# In onnxscript's language a parameter is a tensor unless it is annotated as an attribute.

from __future__ import annotations

import onnx
import onnx.inliner
import onnxscript
from onnxscript import opset18 as op
from onnxscript.values import Opset

from edge_passd.offset_sample import DOMAIN


def in_grid_sample_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a GridSample in place of each OffsetSample, without local functions."""
    form = onnx.ModelProto()
    form.CopyFrom(model)
    del form.functions[:]
    form.functions.append(OffsetSample.to_function_proto())
    return onnx.inliner.inline_local_functions(form)


@onnxscript.script(Opset(DOMAIN, 1), default_opset=op)
def OffsetSample(projected, boxes, anchors: int, outputs: int):
    """One map for each anchor and tap; GridSample's coordinates are -1 and 1 at the outer edges."""
    anchor = op.Reshape(op.Constant(value_int=anchors), [1])
    depth = op.Reshape(op.Constant(value_int=outputs), [1])
    cells = op.Shape(boxes, start=3, end=5)
    height, width = op.Split(op.CastLike(cells, boxes), num_outputs=2)
    maps = op.Mul(anchor, [9])
    cy, cx, h, w = op.Split(boxes, axis=2, num_outputs=4)
    v = op.Constant(value_floats=[-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    u = op.Constant(value_floats=[-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    y = cy + op.Reshape(v, [9, 1, 1]) * h / 3.0
    x = cx + op.Reshape(u, [9, 1, 1]) * w / 3.0
    grid_y = (2.0 * y + 1.0) / height - 1.0
    grid_x = (2.0 * x + 1.0) / width - 1.0
    grid = op.Concat(op.Unsqueeze(grid_x, [5]), op.Unsqueeze(grid_y, [5]), axis=5)
    sampled = op.GridSample(
        op.Reshape(projected, op.Concat(maps, depth, cells, axis=0)),
        op.Reshape(grid, op.Concat(maps, cells, [2], axis=0)),
        align_corners=0,
        mode="bilinear",
        padding_mode="zeros",
    )
    taps = op.Reshape(sampled, op.Concat([1], anchor, [9], depth, cells, axis=0))
    return op.ReduceSum(taps, [2], keepdims=0)
