"""`edge_passd.OffsetSample` as an ONNX local function in gather form.

onnxscript compiles the function below to ONNX operators; it is never run as Python.
"""

# mypy: ignore-errors
# In onnxscript's language a parameter is a tensor unless it is annotated as an attribute.

from __future__ import annotations

import onnxscript
from onnxscript import opset18 as op
from onnxscript.values import Opset

from edge_passd.offset_sample import DOMAIN

DOMAIN_VERSION = 1


@onnxscript.script(Opset(DOMAIN, DOMAIN_VERSION), default_opset=op)
def OffsetSample(projected, boxes, anchors: int, outputs: int):
    """Gather form. Rows of a table are cells, its columns the D channels of one tap."""
    taps = op.Constant(value_int=9)
    minus = op.Constant(value_floats=[-1.0])
    plus = op.Constant(value_floats=[1.0])
    three = op.Constant(value_floats=[3.0])
    depth = op.Reshape(op.Constant(value_int=outputs), [1])
    maps = op.Reshape(op.Mul(op.Constant(value_int=anchors), taps), [1])
    shape = op.Shape(boxes, start=3, end=5)
    height = op.Gather(shape, [0], axis=0)
    width = op.Gather(shape, [1], axis=0)
    cells = op.Mul(height, width)
    rows = op.CastLike(height, boxes)
    columns = op.CastLike(width, boxes)
    table = op.Reshape(
        op.Transpose(op.Reshape(projected, op.Concat(maps, depth, cells, axis=0)), perm=[0, 2, 1]),
        op.Concat(op.Mul(maps, cells), depth, axis=0),
    )
    cy, cx, h, w = op.Split(boxes, axis=2, num_outputs=4)
    v = op.Constant(value_floats=[-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    u = op.Constant(value_floats=[-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    nine = op.Constant(value_ints=[9, 1, 1])
    # Two cells outside every corner counts as zero already; clipping keeps the indices finite.
    far = op.Constant(value_floats=[-2.0])
    y = op.Max(
        op.Min(op.Add(cy, op.Mul(op.Reshape(v, nine), op.Div(h, three))), op.Add(rows, plus)), far
    )
    x = op.Max(
        op.Min(op.Add(cx, op.Mul(op.Reshape(u, nine), op.Div(w, three))), op.Add(columns, plus)),
        far,
    )
    top = op.Floor(y)
    left = op.Floor(x)
    bottom = op.Add(top, plus)
    right = op.Add(left, plus)
    down = op.Sub(y, top)
    across = op.Sub(x, left)
    last_row = op.Add(rows, minus)
    last_column = op.Add(columns, minus)
    zero = op.Constant(value_floats=[0.0])
    # A row or column outside the map weighs nothing and is read from the border instead.
    top_row = op.Max(op.Min(top, last_row), zero)
    bottom_row = op.Max(op.Min(bottom, last_row), zero)
    left_column = op.Max(op.Min(left, last_column), zero)
    right_column = op.Max(op.Min(right, last_column), zero)
    top_weight = op.Mul(op.Sub(plus, down), op.CastLike(op.Equal(top, top_row), boxes))
    bottom_weight = op.Mul(down, op.CastLike(op.Equal(bottom, bottom_row), boxes))
    left_weight = op.Mul(op.Sub(plus, across), op.CastLike(op.Equal(left, left_column), boxes))
    right_weight = op.Mul(across, op.CastLike(op.Equal(right, right_column), boxes))
    # Rows of the table are counted in float: there are far fewer than 2^24.
    first = op.Reshape(
        op.CastLike(
            op.Mul(
                op.Range(op.Constant(value_int=0), op.Squeeze(maps, [0]), op.Constant(value_int=1)),
                cells,
            ),
            boxes,
        ),
        op.Concat(op.Constant(value_ints=[1, -1]), op.Constant(value_ints=[9, 1, 1]), axis=0),
    )
    top_start = op.Add(first, op.Mul(top_row, columns))
    bottom_start = op.Add(first, op.Mul(bottom_row, columns))
    # All four corners of all nine taps of a box side by side: their weighted sum is one row times
    # one small matrix, which is much cheaper than a multiply for each corner and a sum over taps.
    rows_of = op.Concat(
        op.Add(top_start, left_column),
        op.Add(top_start, right_column),
        op.Add(bottom_start, left_column),
        op.Add(bottom_start, right_column),
        axis=2,
    )
    weights = op.Concat(
        op.Mul(top_weight, left_weight),
        op.Mul(top_weight, right_weight),
        op.Mul(bottom_weight, left_weight),
        op.Mul(bottom_weight, right_weight),
        axis=2,
    )
    one_anchor = op.Reshape(op.Constant(value_int=anchors), [1])
    corners = op.Concat(one_anchor, op.Constant(value_ints=[36]), cells, axis=0)
    index = op.Cast(op.Transpose(op.Reshape(rows_of, corners), perm=[0, 2, 1]), to=6)
    weight = op.Unsqueeze(op.Transpose(op.Reshape(weights, corners), perm=[0, 2, 1]), [2])
    summed = op.Transpose(
        op.Squeeze(op.MatMul(weight, op.Gather(table, index)), [2]), perm=[0, 2, 1]
    )
    batch = op.Constant(value_ints=[1])
    return op.Reshape(summed, op.Concat(batch, one_anchor, depth, height, width, axis=0))
