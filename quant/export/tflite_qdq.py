"""A quantised model with torch's own quantise and dequantise operations in place of its grids.

litert-torch turns each pair into the scale and zero point of a TFLite tensor, as they are.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
from torch import Tensor, nn

from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import ImageGrid, QuantConv
from quant.int8.scheme import ACTIVATION

_ops = torch.ops.quantized_decomposed

# TFLite's activations are int8: the same grid as u8, with everything lower by half the range.
LOWEST = -128
_SHIFT = LOWEST - ACTIVATION.lowest
_HIGHEST = ACTIVATION.highest + _SHIFT


M = TypeVar("M", bound=nn.Module)


def with_int8_ops(model: M) -> M:
    """A copy of a quantised model for conversion to TFLite; it computes the same as the model."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ActivationGrid):
                setattr(parent, name, _Activation(float(child.scale), int(child.zero_point)))
            elif isinstance(child, WeightGrid):
                assert isinstance(parent, QuantConv)
                setattr(parent, name, _Weight(child, parent.weight))
            elif isinstance(child, ImageGrid):
                setattr(parent, name, _Image(child))
            elif isinstance(child, QuantConv) and not child.is_int8:
                setattr(parent, name, nn.Sequential(_StaysFloat(), child))
    return model


class _Activation(nn.Module):
    def __init__(self, scale: float, zero_point: int) -> None:
        super().__init__()
        # Plain numbers: the converter takes no scale that is computed in the graph.
        self.grid = scale, zero_point + _SHIFT, LOWEST, _HIGHEST, torch.int8

    def forward(self, x: Tensor) -> Tensor:
        return _ops.dequantize_per_tensor(_ops.quantize_per_tensor(x, *self.grid), *self.grid)


class _Image(nn.Module):
    def __init__(self, grid: ImageGrid) -> None:
        super().__init__()
        self.zero_point, self.scale = float(grid.zero_point), grid.scale
        self.output = _Activation(grid.scale, grid.zero_point)

    def forward(self, images: Tensor) -> Tensor:
        return self.output((images - self.zero_point) * self.scale)


class _Weight(nn.Module):
    """The converter quantises the float weights itself: given on their grid, it finds the integers.

    It refuses int8 constants with a dequantise operation alone.
    """

    weight: Tensor
    scale: Tensor
    zero_point: Tensor

    def __init__(self, grid: WeightGrid, weight: Tensor) -> None:
        super().__init__()
        scale, self.limits = grid.scale(weight), grid.limits
        self.register_buffer("weight", grid.integers(weight) * scale)
        self.register_buffer("scale", scale.flatten())
        self.register_buffer("zero_point", torch.zeros(len(weight), dtype=torch.int64))

    def forward(self, weight: Tensor) -> Tensor:
        grid = self.scale, self.zero_point, 0, self.limits.lowest, self.limits.highest, torch.int8
        integers = _ops.quantize_per_channel(self.weight, *grid)
        return _ops.dequantize_per_channel(integers, *grid)


class _StaysFloat(nn.Module):
    """In front of a layer that is kept float: an addition that adds nothing.

    The converter makes a convolution int8, weights and all, once its input and output are.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.finfo(x.dtype).tiny
