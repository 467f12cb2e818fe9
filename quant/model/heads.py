"""The propose and the attend head, each shared by all pyramid levels."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge_passd.boxes import MAX_SIZE_OFFSET
from quant.model.backbone import PYRAMID_CHANNELS
from quant.model.config import ModelConfig
from quant.model.offset_conv import TAPS, offset_sample, sample_taps, tap_points


class ProposeHead(nn.Module):
    """Objectness and offsets for the default boxes of one level (paper, section 5.1.1)."""

    def __init__(self, anchors: int) -> None:
        super().__init__()
        self.objectness = nn.Conv2d(PYRAMID_CHANNELS, 2 * anchors, 3, padding=1)
        self.offsets = nn.Conv2d(PYRAMID_CHANNELS, 4 * anchors, 3, padding=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 256, H, W) to logits (B, 2A, H, W) and offsets (B, 4A, H, W) of dx, dy, dw, dh."""
        return self.objectness(features), self.offsets(features)


class AttendHead(nn.Module):
    """C class logits and 4 offsets for each box of one level (section 5.1.2).

    The same weights serve every row of the ablation: `adaptive` samples inside the proposed box,
    `fixed` is a plain dilated convolution, `deformable` learns its offsets (Dai et al. 2017).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.anchors = len(config.scales)
        self.outputs = config.outputs
        self.attend = config.attend
        self.dilation = config.dilation
        channels = self.anchors * TAPS * self.outputs
        self.projection = nn.Conv2d(PYRAMID_CHANNELS, channels, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(self.anchors, self.outputs))
        if config.attend == "deformable":
            self.tap_offsets = nn.Conv2d(PYRAMID_CHANNELS, 2 * TAPS, 3, padding=1)
        # The exporter puts the named operator of the exported graph here.
        self.sampler: Callable[[Tensor, Tensor], Tensor] = offset_sample

    def forward(self, features: Tensor, boxes: Tensor) -> Tensor:
        """Features (B, 256, H, W), boxes (B, A, 4, H, W) cy cx h w in cells; (B, A, C+4, H, W)."""
        bias = self.bias[:, :, None, None]
        if self.attend == "fixed":
            return self._dilated(features).to(bias.dtype) + bias
        projected = self.projection(features)
        with torch.autocast(features.device.type, enabled=False):
            projected = projected.to(boxes.dtype)
            if self.attend == "adaptive":
                return self.sampler(projected, boxes) + bias
            return sample_taps(projected, self._learned_points(features, boxes)) + bias

    def _dilated(self, features: Tensor) -> Tensor:
        taps = self.projection.weight.reshape(self.anchors, 3, 3, self.outputs, PYRAMID_CHANNELS)
        weight = taps.permute(0, 3, 4, 1, 2).reshape(-1, PYRAMID_CHANNELS, 3, 3)
        d = self.dilation
        out = F.conv2d(features, weight, padding=d, dilation=d)
        return out.reshape(len(out), self.anchors, self.outputs, *out.shape[2:])

    def _learned_points(self, features: Tensor, boxes: Tensor) -> Tensor:
        learned = self.tap_offsets(features).to(boxes.dtype)
        cells = cell_indices(features.shape[2], features.shape[3], boxes)
        points = tap_points(torch.cat([cells, cells], 0)[None, None], dilation=self.dilation)
        learned = learned.reshape(len(learned), 1, TAPS, 2, *learned.shape[2:])
        return (points + learned).expand(-1, self.anchors, -1, -1, -1, -1)


def adjusted_boxes(offsets: Tensor | None, config: ModelConfig, like: Tensor) -> Tensor:
    """Proposed boxes of one level in feature cells: (B, A, 4, H, W) of cy, cx, h, w.

    offsets: (B, 4A, H, W) from the propose head, or None for the default boxes. like: the level's
    map, for its batch and size. Centres by eq. 2 (or eq. 1 unclipped), sizes by eq. 1. A cell's
    centre is at its index, so the default box of cell (r, c) is centred at (r, c).
    """
    height, width = like.shape[2:]
    anchors = len(config.scales)
    dtype = torch.float32 if offsets is None else offsets.dtype
    sides = 4.0 * torch.tensor(config.scales, dtype=dtype, device=like.device)
    sides = sides[None, :, None, None, None]
    cells = cell_indices(height, width, sides)
    if offsets is None:
        shape = (len(like), anchors, 2, height, width)
        return torch.cat([cells.expand(shape), sides.expand(shape)], 2)
    offsets = transpose_axes(offsets.reshape(len(offsets), anchors, 4, height, width), 2)
    shift = offsets[:, :, :2]
    shift = torch.tanh(shift) / 2 if config.propose == "clipped" else shift * sides
    size = sides * torch.exp(offsets[:, :, 2:].clamp(-MAX_SIZE_OFFSET, MAX_SIZE_OFFSET))
    return torch.cat([cells + shift, size], 2)


def transpose_axes(boxes: Tensor, dim: int) -> Tensor:
    """x y w h to y x h w or back, along `dim`."""
    return boxes.index_select(dim, torch.tensor([1, 0, 3, 2], device=boxes.device))


def cell_indices(height: int, width: int, like: Tensor) -> Tensor:
    """(2, H, W): row and column of each cell, in the dtype and on the device of `like`."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
