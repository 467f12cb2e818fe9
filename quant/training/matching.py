"""Which box is responsible for which object: the assignments of both stages, batched."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

POSITIVE_IOU = 0.5


class Assignment(NamedTuple):
    """Targets of N boxes in each of B pictures.

    classes: (B, N) int64, 0 background, 1.. the object's class + 1, -1 takes no part in the loss.
    targets: (B, N, 4) corners in pixels of the assigned object; zeros where there is none.
    """

    classes: Tensor
    targets: Tensor


def assign(
    boxes: Tensor, objects: Tensor, labels: Tensor, ignored: Tensor, best_too: bool
) -> Assignment:
    """Assign to each box the object it overlaps most, if their IoU is over one half.

    boxes: (N, 4) or (B, N, 4) corners. objects: (B, M, 4) corners, padded. labels: (B, M) class
    index or -1 for padding. ignored: (B, M) `difficult` or `iscrowd` objects: a box on one of them
    is neither positive nor negative. best_too: the box that an object overlaps most is its own
    whatever the IoU (SSD; used for the default boxes).
    """
    if objects.shape[1] == 0:
        shape = (len(objects), boxes.shape[-2])
        return Assignment(
            torch.zeros(shape, dtype=torch.int64, device=boxes.device),
            boxes.new_zeros((*shape, 4)),
        )
    real = labels >= 0
    overlap = iou(boxes, objects)  # (B, N, M)
    wanted = overlap.masked_fill(~(real & ~ignored)[:, None], -1.0)
    best, owner = wanted.max(2)
    if best_too:
        best, owner = _keep_best_boxes(wanted, best, owner)
    positive = best > POSITIVE_IOU
    classes = torch.where(positive, labels.gather(1, owner) + 1, 0)
    unwanted = overlap.masked_fill(~(real & ignored)[:, None], -1.0).amax(2) > POSITIVE_IOU
    classes = classes.masked_fill(unwanted & ~positive, -1)
    targets = objects.gather(1, owner[..., None].expand(-1, -1, 4))
    return Assignment(classes, targets * positive[..., None])


def _keep_best_boxes(wanted: Tensor, best: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    box = wanted.argmax(1)  # (B, M): each object's best box
    candidates = torch.where(_one_hot(box, best.shape[1]), wanted, -1.0)
    # Of two objects with the same best box the one that overlaps it more gets it.
    overlap, claimer = candidates.max(2)
    claimed = overlap > 0
    return torch.where(claimed, 2.0, best), torch.where(claimed, claimer, owner)


def _one_hot(box: Tensor, count: int) -> Tensor:
    """(B, M) box indices to (B, N, M) bool."""
    index = torch.arange(count, device=box.device)
    return index[None, :, None] == box[:, None, :]


def iou(boxes: Tensor, objects: Tensor) -> Tensor:
    """`edge_passd.boxes.iou` for batches: (N, 4) or (B, N, 4) and (B, M, 4) to (B, N, M)."""
    first, second = boxes.unsqueeze(-2), objects.unsqueeze(1)
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    union = _area(first) + _area(second) - overlap
    return torch.where(union > 0, overlap / union, 0.0)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
