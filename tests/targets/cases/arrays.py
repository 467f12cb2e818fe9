"""Activations as they lie in memory, and layers written out from their definitions."""

from __future__ import annotations

import zlib
from typing import TypeAlias

import numpy as np

from targets.gpu.arithmetic import Arithmetic as GpuArithmetic
from targets.graph import Grid, Tensor
from targets.isa.arithmetic import Arithmetic
from targets.layout import layout_of

AnyArithmetic: TypeAlias = "Arithmetic | GpuArithmetic"

EPSILON = 2.0**-24  # of one rounding to float32, relative


def generator(name: str) -> np.random.Generator:
    """The same for the same name, in every process."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def on_integers(arithmetic: AnyArithmetic) -> bool:
    return arithmetic.accumulator == "int32"


def grid_of(arithmetic: AnyArithmetic, zero_point: int, scale: float = 0.1) -> Grid | None:
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
    memory[:] = _stored_zero(tensor, arithmetic)
    inside = memory[_inside(tensor)]
    if on_integers(arithmetic):
        inside[:] = rng.integers(0, 256, inside.shape) + arithmetic.shift
    else:
        inside[:] = rng.normal(0, 100, inside.shape)
    inside[..., : tensor.channels] = values + _shift(arithmetic)
    return memory


def to_write(
    values: np.ndarray, tensor: Tensor, arithmetic: Arithmetic, zero_rest: bool | None = None
) -> np.ma.MaskedArray:
    """(H, W, C) values, integers as in ONNX, to what an operator must leave in memory.

    Zero around it. zero_rest: whether zero must fill up a pixel's last vector, too; by default in
    float, where 0 * NaN would reach the next layer.
    """
    empty = _empty(tensor, arithmetic)
    dtype = empty.dtype if on_integers(arithmetic) else np.float64
    memory = np.ma.array(np.full_like(empty, _stored_zero(tensor, arithmetic), dtype))
    rest = np.ma.array(memory[_inside(tensor)])
    if on_integers(arithmetic) if zero_rest is None else not zero_rest:
        rest[:] = np.ma.masked
    rest[..., : tensor.channels] = values + _shift(arithmetic)
    memory[_inside(tensor)] = rest
    return memory


def _empty(tensor: Tensor, arithmetic: Arithmetic) -> np.ndarray:
    sides = tensor.height + 2 * tensor.border, tensor.width + 2 * tensor.border
    return np.empty((*sides, layout_of(tensor, arithmetic).pitch), arithmetic.stored)


def _inside(tensor: Tensor) -> tuple[slice, slice]:
    border = tensor.border
    return np.s_[border : border + tensor.height, border : border + tensor.width]


def _shift(arithmetic: Arithmetic) -> int:
    return arithmetic.shift if on_integers(arithmetic) else 0


def _stored_zero(tensor: Tensor, arithmetic: Arithmetic) -> int:
    return zero_of(tensor) + _shift(arithmetic)


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
