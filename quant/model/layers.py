"""The two building blocks of MobileNet-v1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3  # TF-slim's, which the pre-trained weights were made with


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU6: (B, I, H, W) to (B, O, ceil(H/s), ceil(W/s)).

    While the norm's statistics are frozen (evaluation mode) the norm is folded into the weights
    on the fly. The function is the same, one pass over memory instead of three, and an exported
    graph holds a plain convolution with bias.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        if self.norm.training:
            return relu6(self.norm(self.conv(x)))
        weight, bias = self.folded()
        conv = self.conv
        return relu6(
            F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        )

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (O, I, k, k) and bias (O,) of the convolution with the frozen norm in it."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return self.conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


class SeparableBlock(nn.Module):
    """Depthwise 3x3 with the stride, then pointwise 1x1."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = ConvNorm(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


def relu6(x: Tensor) -> Tensor:
    """In place: the value before it is not needed by any gradient."""
    return F.hardtanh_(x, 0.0, 6.0)
