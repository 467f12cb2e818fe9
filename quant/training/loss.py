"""The loss of both stages (paper, section 6.1): cross-entropy on positives and hard negatives,
smooth L1 on positives, each stage divided by its own number of positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from edge_passd.boxes import box_strides, default_boxes
from quant.model.config import ModelConfig
from quant.model.passd import Prediction
from quant.training.matching import Assignment, assign

NEGATIVES_PER_POSITIVE = 3

# Residuals of centres and sizes are divided by these (SSD's variances) before smooth L1, so that
# an error of a tenth of a box lies at the kink.
CENTRE_UNIT = 0.1
SIZE_UNIT = 0.2

# The furthest that a centre target lies from its default box, in strides: eq. 2 reaches half a
# stride only at infinity.
MAX_CENTRE_TARGET = 0.48


class StageLoss(NamedTuple):
    """Sums over the batch, not yet divided: more processes add up their positives first.

    Scalars; classification and regression with gradient, positives int64.
    """

    classification: Tensor
    regression: Tensor
    positives: Tensor


@dataclass(frozen=True)
class DefaultBoxes:
    """The default boxes of one input size, in pixels.

    centres: (N, 4) cx cy w h. corners: (N, 4) x1 y1 x2 y2. strides: (N,) of each box's level.
    """

    centres: Tensor
    corners: Tensor
    strides: Tensor

    @classmethod
    def of(cls, config: ModelConfig, input_size: int, device: torch.device) -> DefaultBoxes:
        """Those of a model's scales at `input_size` pixels, float32, on `device`."""
        boxes = torch.from_numpy(default_boxes(input_size, config.scales)).to(device)
        strides = torch.from_numpy(box_strides(input_size, len(config.scales))).to(device)
        return cls(boxes, to_corners(boxes), strides)


def passd_loss(
    prediction: Prediction,
    defaults: DefaultBoxes,
    objects: Tensor,
    labels: Tensor,
    ignored: Tensor,
    clipped: bool,
) -> dict[str, StageLoss]:
    """Losses by stage: "propose" (absent without one) and "attend".

    objects: (B, M, 4) corners in input pixels, padded; labels: (B, M), -1 for padding; ignored:
    (B, M) bool. clipped: centre offsets follow eq. 2.
    """
    stages = {}
    if prediction.objectness is not None:
        assignment = assign(defaults.corners, objects, labels, ignored, best_too=True)
        stages["propose"] = _propose_loss(prediction, defaults, assignment, clipped)
    adjusted = prediction.adjusted.detach()
    # Without a propose stage the attend stage is SSD's head on default boxes, best ones included.
    assignment = assign(
        to_corners(adjusted), objects, labels, ignored, best_too=prediction.objectness is None
    )
    positive = assignment.classes > 0
    boxes, targets = adjusted[positive], _centres(assignment.targets[positive])
    offsets = prediction.offsets[positive]
    shift = (targets[:, :2] - boxes[:, :2]) / boxes[:, 2:]
    residual = torch.cat(
        [
            (offsets[:, :2] - shift) / CENTRE_UNIT,
            (offsets[:, 2:] - (targets[:, 2:] / boxes[:, 2:]).log()) / SIZE_UNIT,
        ],
        -1,
    )
    stages["attend"] = StageLoss(
        _mined_cross_entropy(prediction.logits, assignment.classes),
        _smooth_l1(residual),
        positive.sum(),
    )
    return stages


def _propose_loss(
    prediction: Prediction, defaults: DefaultBoxes, assignment: Assignment, clipped: bool
) -> StageLoss:
    """Regression on the adjusted boxes themselves, in units of the default box: eq. 1's offsets
    for the unclipped form, and bounded where eq. 2 bounds the centre."""
    positive = assignment.classes > 0
    batch, index = positive.nonzero(as_tuple=True)
    assert prediction.objectness is not None
    boxes, strides = defaults.centres[index], defaults.strides[index, None]
    adjusted, targets = prediction.adjusted[batch, index], _centres(assignment.targets[positive])
    wanted = targets[:, :2] - boxes[:, :2]
    if clipped:
        limit = MAX_CENTRE_TARGET * strides
        wanted = torch.minimum(torch.maximum(wanted, -limit), limit)
    shift = (adjusted[:, :2] - boxes[:, :2] - wanted) / boxes[:, 2:]
    size = (adjusted[:, 2:] / targets[:, 2:]).log()
    return StageLoss(
        _mined_cross_entropy(prediction.objectness, assignment.classes.clamp(max=1)),
        _smooth_l1(torch.cat([shift / CENTRE_UNIT, size / SIZE_UNIT], -1)),
        positive.sum(),
    )


def _smooth_l1(residual: Tensor) -> Tensor:
    return F.smooth_l1_loss(residual, torch.zeros_like(residual), reduction="sum")


def _mined_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Sum over positives and, in each picture, the negatives of the highest loss, at most 3:1.

    logits: (B, N, C); classes: (B, N), -1 takes no part.
    """
    losses = F.cross_entropy(logits.transpose(1, 2), classes, ignore_index=-1, reduction="none")
    positive = classes > 0
    negative_losses = losses.detach().masked_fill(classes != 0, -1.0)
    rank = negative_losses.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    wanted = NEGATIVES_PER_POSITIVE * positive.sum(1, keepdim=True)
    mined = (rank < wanted) & (classes == 0)
    return losses[positive | mined].sum()


def to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) cx cy w h to x1 y1 x2 y2."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def _centres(corners: Tensor) -> Tensor:
    low, high = corners[..., :2], corners[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)
