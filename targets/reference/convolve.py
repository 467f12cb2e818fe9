"""Convolution in float64, exact for integers: every partial sum stays far below 2^53."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge_passd.errors import BadInput


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    /,
    *,
    group: int = 1,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    kernel_shape: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
) -> np.ndarray:
    """ONNX Conv in two dimensions: (N, I, H, W) and (O, I / group, k, l) to (N, O, H', W') float64.

    bias: (O,). pads: top, left, bottom, right, of zeros. Raises BadInput for groups that are
    neither one nor as many as the channels in and out, and for automatic padding.
    """
    channels, outputs = x.shape[1], len(weight)
    if group != 1 and not group == channels == outputs:
        raise BadInput(
            f"{group} groups for {channels} channels in and {outputs} out; "
            "only ordinary and depthwise convolutions are known"
        )
    if auto_pad != "NOTSET":
        raise BadInput(f"auto_pad {auto_pad}; only explicit pads are known")
    top, left, bottom, right = pads
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    weight = weight.astype(np.float64)
    windows = _windows(padded, weight.shape[2:], strides, dilations)
    total = _ordinary(windows, weight) if group == 1 else _depthwise(windows, weight)
    return total if bias is None else total + bias.reshape(-1, 1, 1)


def _windows(
    x: np.ndarray, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> np.ndarray:
    """(N, I, H, W) to a view (N, I, H', W', k, l) of what stands under each place of the kernel."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    windows = sliding_window_view(x, reach, (2, 3))
    return windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def _ordinary(windows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    count, _, height, width = windows.shape[:4]
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(count, -1, height * width)
    total = weight.reshape(len(weight), -1) @ columns
    return total.reshape(count, -1, height, width)


def _depthwise(windows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    total = np.zeros(windows.shape[:4])
    for i, j in np.ndindex(weight.shape[2:]):
        total += windows[..., i, j] * weight[:, 0, i, j, None, None]
    return total
