"""Fake quantisation: values rounded to what an integer tensor can hold, gradients passed through.

The straight-through estimator (Jacob et al. 2018, section 3): rounding counts as the identity,
clipping does not.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from quant.int8.scheme import ACTIVATION, IntegerRange

# A channel whose weights are this small beside the layer's largest is dead: ImageNet's MobileNet
# has dozens. A step as small as theirs would push the bias, which counts in it, out of int32.
DEAD = 1e-4
# The least step of an activation, for a tensor that was always zero: biases count in it too.
LEAST_STEP = 1e-6


class Recorder(Protocol):
    """Watches the values of one tensor while ranges are looked for."""

    def see(self, x: Tensor) -> None: ...


class _Rounded(torch.autograd.Function):
    """Three passes over memory; torch's own fake_quantize takes six times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.limits = low, high
        scale = scale.to(x.dtype)
        return x.clamp(low, high).div_(scale).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], x, *ctx.limits), None, None, None


class ActivationGrid(nn.Module):
    """One tensor of any shape on u8, asymmetric; float in, float out.

    Until `set_range` it has no scale and puts out NaN.

    limits: what the values are clamped to first, (0, 6) for ReLU6. The grid never reaches beyond
    them, so the integers' saturation is the clamp and the exported graph needs no other.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, limits: tuple[float, float] = (-math.inf, math.inf)) -> None:
        super().__init__()
        self.limits = limits
        self.register_buffer("scale", torch.tensor(math.nan))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        # While calibration puts one here values are seen, and pass unrounded.
        self.recorder: Recorder | None = None
        self._bounds: tuple[float, float] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.recorder is not None:
            x = x.clamp(*self.limits)
            self.recorder.see(x)
            return x
        return _Rounded.apply(x, self.scale, *self.bounds)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value of the grid."""
        if self._bounds is None:
            scale, zero = float(self.scale), int(self.zero_point)
            self._bounds = (ACTIVATION.lowest - zero) * scale, (ACTIVATION.highest - zero) * scale
        return self._bounds

    def set_range(self, low: float, high: float) -> None:
        """Cover the values from `low` to `high`, and 0, within the limits."""
        low, high = max(min(low, 0.0), self.limits[0]), min(max(high, 0.0), self.limits[1])
        scale = max((high - low) / ACTIVATION.steps, LEAST_STEP)
        self.scale.fill_(scale)
        self.zero_point.fill_(round(-low / scale))
        self._bounds = None

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._bounds = None


class WeightGrid(nn.Module):
    """Weights (O, I, k, k) on s8, symmetric, one scale for each output channel; float in and out.

    The scale follows the weights: the largest of a channel becomes `limits.highest`, so nothing is
    clipped.
    """

    def __init__(self, limits: IntegerRange) -> None:
        super().__init__()
        self.limits = limits

    def forward(self, weight: Tensor) -> Tensor:
        scale = self.scale(weight)
        rounded = (weight / scale).round() * scale
        return weight + (rounded - weight).detach()

    def scale(self, weight: Tensor) -> Tensor:
        """(O, 1, 1, 1) step of each output channel of (O, I, k, k) weights, without gradient."""
        largest = weight.detach().abs().amax((1, 2, 3), keepdim=True)
        floor = (largest.max() * DEAD).clamp(min=torch.finfo(torch.float32).tiny)
        return torch.maximum(largest, floor) / self.limits.highest

    def integers(self, weight: Tensor) -> Tensor:
        """The int8 (O, I, k, k) that float weights are rounded to."""
        return (weight.detach() / self.scale(weight)).round().to(torch.int8)
