"""The offset convolution (paper, eq. 3-5) as project-then-sample.

A convolution at freely placed taps is linear in the feature map, so sampling and projecting
commute: a 1x1 convolution first makes, for each tap, the channels that this tap contributes, then
each tap's channels are sampled bilinearly and summed. Exactly equal in real arithmetic, zero
padding included, with ten times less to sample.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 9


def tap_points(boxes: Tensor, dilation: float | None = None) -> Tensor:
    """Where the nine taps of each box look.

    boxes: (B, A, 4, H, W) cy, cx, h, w in feature cells. Returns (B, A, 9, 2, H, W) of y, x: the
    centres of a 3x3 partition of the box (eq. 4), or steps of `dilation` cells around its centre.
    """
    steps = torch.arange(-1, 2, dtype=boxes.dtype, device=boxes.device)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(TAPS, 2, 1, 1)
    centre, size = boxes[:, :, None, :2], boxes[:, :, None, 2:]
    return centre + grid * (size / 3 if dilation is None else dilation)


def sample_taps(projected: Tensor, points: Tensor) -> Tensor:
    """Sum over the taps of bilinear samples; a corner outside the map counts as zero.

    projected: (B, A*9*D, H, W), channels in the order box, tap, output. points: (B, A, 9, 2, H, W)
    y, x in cells. Returns (B, A, D, H, W).
    """
    batch, anchors, taps, _, height, width = points.shape
    outputs = projected.shape[1] // (anchors * taps)
    maps = projected.reshape(batch * anchors * taps, outputs, height, width)
    y, x = points.reshape(batch * anchors * taps, 2, height, width).unbind(1)
    # grid_sample's coordinates without align_corners: -1 and 1 are the map's outer edges, which
    # also holds for a map of one cell.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    sampled = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.reshape(batch, anchors, taps, outputs, height, width).sum(2)


def offset_sample(projected: Tensor, boxes: Tensor) -> Tensor:
    """The stage after the projection: boxes in, (B, A, D, H, W) out. See `sample_taps`."""
    return sample_taps(projected, tap_points(boxes))
