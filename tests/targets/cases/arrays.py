"""Activations as they lie in memory, and layers written out from their definitions."""

from __future__ import annotations

import numpy as np

from targets.graph import Grid, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.layout import layout_of

EPSILON = 2.0**-24  # of one rounding to float32, relative


def on_integers(arithmetic: Arithmetic) -> bool:
    return arithmetic.stored != "float32"


def grid_of(arithmetic: Arithmetic, zero_point: int, scale: float = 0.1) -> Grid | None:
    """A grid for tensors of an integer arithmetic, none for those of a float one."""
    return Grid(scale, zero_point) if on_integers(arithmetic) else None


def zero_of(tensor: Tensor) -> int:
    return 0 if tensor.grid is None else tensor.grid.zero_point


def in_memory(
    values: np.ndarray, tensor: Tensor, arithmetic: Arithmetic, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, C) values, integers as in ONNX, to what an operator reads.

    Zero around it, and in the channels that fill up the last vector anything that is finite.
    """
    memory = _empty(tensor, arithmetic)
    if on_integers(arithmetic):
        memory[:] = rng.integers(0, 256, memory.shape) + arithmetic.shift
    else:
        memory[:] = rng.normal(0, 100, memory.shape)
    return _filled(memory, values, tensor, arithmetic)


def to_write(values: np.ndarray, tensor: Tensor, arithmetic: Arithmetic) -> np.ma.MaskedArray:
    """(H, W, C) values, integers as in ONNX, to what an operator must leave in memory.

    Zero around it; in integers anything may fill up the last vector, in float it must be finite,
    and so is zero, as 0 * NaN would reach the next layer.
    """
    memory = np.ma.zeros(_empty(tensor, arithmetic).shape, arithmetic.stored)
    _filled(memory.data, values, tensor, arithmetic)
    if on_integers(arithmetic):
        memory[..., tensor.channels :] = np.ma.masked
    return memory


def _empty(tensor: Tensor, arithmetic: Arithmetic) -> np.ndarray:
    layout = layout_of(tensor, arithmetic)
    sides = tensor.height + 2 * tensor.border, tensor.width + 2 * tensor.border
    return np.empty((*sides, layout.pitch), arithmetic.stored)


def _filled(
    memory: np.ndarray, values: np.ndarray, tensor: Tensor, arithmetic: Arithmetic
) -> np.ndarray:
    border = tensor.border
    around = np.ones(memory.shape[:2], bool)
    inside = np.s_[border : border + tensor.height, border : border + tensor.width]
    around[inside] = False
    shift = arithmetic.shift if on_integers(arithmetic) else 0
    memory[around] = zero_of(tensor) + shift
    memory[(*inside, np.s_[: tensor.channels])] = values + shift
    return memory


def convolved(x: np.ndarray, weights: np.ndarray, stride: int) -> np.ndarray:
    """(H, W, I) and (O, I, k, k) to (H', W', O), padded with zeros, in int64 or float64."""
    kernel = weights.shape[2]
    pad = kernel // 2
    padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    height, width = -(-x.shape[0] // stride), -(-x.shape[1] // stride)
    y = np.zeros((height, width, len(weights)), x.dtype)
    for row, column in np.ndindex(height, width):
        top, left = row * stride, column * stride
        window = padded[top : top + kernel, left : left + kernel]
        y[row, column] = np.einsum("ijc,ocij->o", window, weights)
    return y


def convolved_by_channel(x: np.ndarray, weights: np.ndarray, stride: int) -> np.ndarray:
    """Depthwise: (H, W, C) and (C, 1, k, k) to (H', W', C)."""
    planes = [
        convolved(x[..., c : c + 1], weights[c : c + 1], stride)[..., 0] for c in range(x.shape[2])
    ]
    return np.stack(planes, -1)


def requantised(sums: np.ndarray, multipliers: np.ndarray, zero_point: int) -> np.ndarray:
    """(H, W, O) int64 to 0..255: times a float32, rounded to even, plus the zero point, saturated.

    The sum and the product are each rounded to float32.
    """
    steps = np.rint(sums.astype(np.float32) * multipliers.astype(np.float32))
    return np.clip(steps.astype(np.float64) + zero_point, 0, 255).astype(np.int64)
