"""Layers on integers: a convolution or a sum, with the rounding of what it puts out.

The graph says dequantise, compute, quantise; that is one exact computation here, and its arithmetic
stands in `targets.reference.integers`. Arguments come flat, as the graph names them: scale and zero
point of the output, then tensor, scale and zero point of each input. A zero point may be None: 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_passd.errors import BadInput
from targets.reference.convolve import convolve
from targets.reference.integers import Quantised, factor, requantise, requantised_sum


def integer_convolution(
    scale: np.ndarray,
    zero_point: np.ndarray | None,
    *inputs: np.ndarray | None,
    weight_axis: int,
    **attributes: Any,
) -> np.ndarray:
    """requantise(sum of (x - zero point of x) * weight, + bias) to (N, O, H', W') uint8.

    inputs: x (N, I, H, W) uint8; weight (O, I / group, k, l) int8, symmetric, with one scale per
    output; bias (O,) int32 in steps of x times weight scale, if there is one. weight_axis: of the
    weight's scales. attributes: of `convolve`. Padding is real zero, which is x's zero point.
    Raises BadInput for tensors of other kinds.
    """
    x, weight, *biases = _quantised(inputs)
    zero = _zero(zero_point, np.uint8)
    _require_activation(x)
    _require_activation(Quantised(zero, scale, zero))
    if weight.values.dtype != np.int8 or weight.zero_point.any():
        raise BadInput("weights on integers must be int8 with zero point 0; export it again")
    if weight.scale.size > 1 and weight_axis != 0:
        raise BadInput("weights on integers must have a scale per output; export it again")
    steps = x.scale * weight.scale
    if any(_is_unfit(bias, steps) for bias in biases):
        raise BadInput(
            "a bias on integers must be int32 in steps of input x weight scale; export it again"
        )
    sums = convolve(
        x.values.astype(np.float64) - x.zero_point,
        weight.values,
        *(bias.values for bias in biases),
        **attributes,
    )
    return requantise(sums, factor(steps, scale), zero)


def integer_sum(
    scale: np.ndarray, zero_point: np.ndarray | None, *inputs: np.ndarray | None
) -> np.ndarray:
    """`requantised_sum` of two uint8 tensors; BadInput for others."""
    a, b = _quantised(inputs)
    zero = _zero(zero_point, np.uint8)
    for each in (a, b, Quantised(zero, scale, zero)):
        _require_activation(each)
    return requantised_sum(a, b, scale, zero)


def _quantised(flat: tuple[np.ndarray | None, ...]) -> list[Quantised]:
    return [
        Quantised(values, scale, _zero(zero_point, values.dtype))
        for values, scale, zero_point in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        if values is not None and scale is not None
    ]


def _zero(zero_point: np.ndarray | None, dtype: np.typing.DTypeLike) -> np.ndarray:
    return np.zeros((), dtype) if zero_point is None else zero_point


def _require_activation(x: Quantised) -> None:
    if x.values.dtype != np.uint8 or x.scale.size != 1 or x.zero_point.size != 1:
        raise BadInput("activations on integers must be uint8 with one scale; export it again")


def _is_unfit(bias: Quantised, steps: np.ndarray) -> bool:
    if bias.values.dtype != np.int32 or bias.zero_point.any():
        return True
    own, wanted = (each.astype(np.float32).ravel() for each in (bias.scale, steps))
    return not np.array_equal(own, wanted)
