"""The operators that edge-passd's exports contain, each as ONNX defines it.

A function takes the node's inputs in their order (None for one left out) and its attributes by
name. Floats come and go as float64, integers in their own types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from edge_passd.errors import BadInput
from edge_passd.offset_sample import DOMAIN, NAME, offset_sample
from targets.reference import integers
from targets.reference.convolve import convolve


def as_computed(values: np.ndarray) -> np.ndarray:
    """Floats of any width as float64, exactly; others as they are."""
    return values.astype(np.float64, copy=False) if values.dtype.kind == "f" else values


def _quantise(
    x: np.ndarray, scale: np.ndarray, zero_point: np.ndarray | None = None, /, *, axis: int = 1
) -> np.ndarray:
    zero = np.zeros((), np.uint8) if zero_point is None else zero_point
    return integers.quantise(x, _along(axis, scale, x.ndim), _along(axis, zero, x.ndim))


def _dequantise(
    x: np.ndarray, scale: np.ndarray, zero_point: np.ndarray | None = None, /, *, axis: int = 1
) -> np.ndarray:
    zero = np.zeros((), x.dtype) if zero_point is None else zero_point
    return integers.dequantise(
        integers.Quantised(x, _along(axis, scale, x.ndim), _along(axis, zero, x.ndim))
    )


def _along(axis: int, vector: np.ndarray, dimensions: int) -> np.ndarray:
    """One value per channel, in a shape that broadcasts over the others; a single one as it is."""
    if vector.ndim == 0:
        return vector
    shape = [1] * dimensions
    shape[axis] = len(vector)
    return vector.reshape(shape)


def _resize(
    x: np.ndarray,
    roi: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    sizes: np.ndarray | None = None,
    /,
    *,
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    coordinate_transformation_mode: str = "half_pixel",
    # The rest has no effect on this mode.
    antialias: int = 0,
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
) -> np.ndarray:
    how = mode, nearest_mode, coordinate_transformation_mode
    if how != ("nearest", "floor", "asymmetric") or scales is None or not scales.size:
        raise BadInput(
            f"mode {', '.join(how)}{'' if sizes is None else ' to given sizes'}; "
            "only nearest, floor, asymmetric by given scales is known"
        )
    for axis, scale in enumerate(scales):
        length = int(x.shape[axis] * scale)
        x = np.take(x, np.floor(np.arange(length) / scale).astype(np.intp), axis)
    return x


def _divide(a: np.ndarray, b: np.ndarray, /) -> np.ndarray:
    quotient = a / b
    return quotient if a.dtype.kind == "f" else np.trunc(quotient).astype(a.dtype)


def _clip(
    x: np.ndarray, least: np.ndarray | None = None, most: np.ndarray | None = None, /
) -> np.ndarray:
    return x if least is None and most is None else np.clip(x, least, most)


def _relu(x: np.ndarray, /) -> np.ndarray:
    return np.maximum(x, 0)


def _exp(x: np.ndarray, /) -> np.ndarray:
    return np.exp(x)


def _tanh(x: np.ndarray, /) -> np.ndarray:
    return np.tanh(x)


def _softmax(x: np.ndarray, /, *, axis: int = -1) -> np.ndarray:
    weights = np.exp(x - x.max(axis, keepdims=True))
    return weights / weights.sum(axis, keepdims=True)


def _reshape(x: np.ndarray, shape: np.ndarray, /, *, allowzero: int = 0) -> np.ndarray:
    if allowzero:
        return x.reshape(shape)
    return x.reshape([size or x.shape[axis] for axis, size in enumerate(shape.tolist())])


def _transpose(x: np.ndarray, /, *, perm: Sequence[int] | None = None) -> np.ndarray:
    return x.transpose(perm)


def _slice(
    x: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
    /,
) -> np.ndarray:
    places = [slice(None)] * x.ndim
    chosen = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(chosen, starts.tolist(), ends.tolist(), strides, strict=True):
        # The end of a slice that runs backwards to the first element has no number in Python's
        # form but a very negative one, which is ONNX's, too.
        places[axis] = slice(start, end, step)
    return x[tuple(places)]


def _gather(x: np.ndarray, indices: np.ndarray, /, *, axis: int = 0) -> np.ndarray:
    return np.take(x, indices, axis)


def _concatenate(*parts: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate(parts, axis)


def _unsqueeze(x: np.ndarray, axes: np.ndarray, /) -> np.ndarray:
    return np.expand_dims(x, tuple(axes.tolist()))


def _squeeze(x: np.ndarray, axes: np.ndarray | None = None, /) -> np.ndarray:
    return np.squeeze(x, None if axes is None else tuple(axes.tolist()))


def _expand(x: np.ndarray, shape: np.ndarray, /) -> np.ndarray:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def _cast(x: np.ndarray, /, *, to: int) -> np.ndarray:
    if to in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        return x.astype(np.float64)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(to)
    if dtype.kind not in "iub":
        raise BadInput(f"a cast to {dtype}; only float, double and integers are known")
    return x.astype(dtype)


def _constant(
    *,
    value: np.ndarray | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> np.ndarray:
    given = (value, value_float, value_floats, value_int, value_ints)
    return as_computed(np.asarray(next(each for each in given if each is not None)))


def _shape(x: np.ndarray, /, *, start: int = 0, end: int | None = None) -> np.ndarray:
    return np.array(x.shape[start:end], np.int64)


def _offset_sample(
    projected: np.ndarray, boxes: np.ndarray, /, *, anchors: int, outputs: int
) -> np.ndarray:
    if boxes.shape[1] != anchors:
        raise BadInput(f"boxes of {boxes.shape[1]} anchors, not {anchors}")
    return offset_sample(projected, boxes, outputs)


# By domain and name; "" is ONNX's own domain.
OPERATORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("", "Add"): operator.add,
    ("", "Cast"): _cast,
    ("", "Clip"): _clip,
    ("", "Concat"): _concatenate,
    ("", "Constant"): _constant,
    ("", "Conv"): convolve,
    ("", "DequantizeLinear"): _dequantise,
    ("", "Div"): _divide,
    ("", "Exp"): _exp,
    ("", "Expand"): _expand,
    ("", "Gather"): _gather,
    ("", "Mul"): operator.mul,
    ("", "QuantizeLinear"): _quantise,
    ("", "Relu"): _relu,
    ("", "Reshape"): _reshape,
    ("", "Resize"): _resize,
    ("", "Shape"): _shape,
    ("", "Slice"): _slice,
    ("", "Softmax"): _softmax,
    ("", "Squeeze"): _squeeze,
    ("", "Sub"): operator.sub,
    ("", "Tanh"): _tanh,
    ("", "Transpose"): _transpose,
    ("", "Unsqueeze"): _unsqueeze,
    (DOMAIN, NAME): _offset_sample,
}
