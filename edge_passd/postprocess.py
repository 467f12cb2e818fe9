"""From all boxes and scores to the few that count (paper, section 5): select, then suppress."""

from __future__ import annotations

import cv2
import numpy as np

from edge_passd import boxes as geometry

# Suppression compares boxes on this grid (cells for each pixel). Sums and products of its
# coordinates are exact in float64, so the offset by which OpenCV keeps classes apart, and the
# order in which a processor multiplies and adds, cannot change a result.
_GRID = 1024.0

SOFT_NMS_SIGMA = 0.5  # of the Gaussian penalty, as in the soft-NMS paper


def select(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `most` best (box, class) pairs with score >= threshold, best first.

    boxes: (N, 4); scores: (N, C), class 0 is background and never selected.
    Returns boxes (K, 4), scores (K,) and labels (K,) int64 that count from 0 without background.
    Equal scores stay in the order box, class.
    """
    # One flat search: numpy is several times slower where an array has gaps or a second axis.
    good = scores >= threshold
    good[:, 0] = False
    rows, labels = np.divmod(np.flatnonzero(good), scores.shape[1])
    values = scores[rows, labels]
    if len(values) > most:
        # Sorting is dear on the 100,000 candidates of an untrained model; partition first.
        last = np.partition(values, -most)[-most]
        best = np.flatnonzero(values >= last)
        rows, labels, values = rows[best], labels[best], values[best]
    order = np.argsort(-values, kind="stable")[:most]
    return boxes[rows[order]], values[order], labels[order] - 1


def nms(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Non-maximum suppression within each class, by OpenCV.

    boxes: (K, 4) corners, finite; scores: (K,); labels: (K,) integers >= 0.
    Returns (M,) int64 indices of the boxes kept, best first: no two of one class overlap by more
    than `iou_threshold`. Of equal scores the earlier box wins. A box without area (on a grid of
    1/1024 of its unit) is never kept.
    """
    order, corners = _ranked(boxes, scores)
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    # Ranks in place of scores: OpenCV drops scores of 0, and no tie is left to its sort.
    ranks = list(range(len(order), 0, -1))
    kept = cv2.dnn.NMSBoxesBatched(xywh, ranks, labels[order].tolist(), 0.0, iou_threshold)
    return order[np.asarray(kept, np.int64).reshape(-1)]


def nms_reference(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """`nms` in numpy, the definition that it is tested against."""
    order, corners = _ranked(boxes, scores)
    # OpenCV compares in single precision, 1 - distance; so must its definition.
    overlap = np.float32(1) - (1 - geometry.iou(corners, corners)).astype(np.float32)
    rivals = (overlap > np.float32(iou_threshold)) & _same(labels[order])
    kept: list[int] = []
    for candidate in range(len(order)):
        if not rivals[candidate, kept].any():
            kept.append(candidate)
    return order[np.array(kept, np.int64)]


def soft_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    threshold: float,
    sigma: float = SOFT_NMS_SIGMA,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian soft-NMS (Bodla et al., 2017): overlapping boxes of a class lose score, not place.

    As `nms`; a score decays by exp(-IoU^2 / sigma) for every better box of its class.
    Returns indices (M,) int64 of the boxes whose score stays >= threshold and their scores (M,),
    best first.
    """
    order, corners = _ranked(boxes, scores)
    overlap = geometry.iou(corners, corners) * _same(labels[order])
    decay = np.exp(-(overlap**2) / sigma)
    left = scores[order].astype(np.float64)
    kept: list[int] = []
    values: list[float] = []
    while len(kept) < len(order):
        best = int(left.argmax())
        if left[best] < threshold:
            break
        kept.append(best)
        values.append(left[best])
        left *= decay[best]
        left[best] = -np.inf
    return order[np.array(kept, np.int64)], np.array(values, scores.dtype)


def _ranked(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the boxes with area, best first, and those boxes (R, 4) float64 on the grid."""
    corners = np.rint(np.multiply(boxes, _GRID, dtype=np.float64)) / _GRID
    order = np.argsort(-scores, kind="stable")
    order = order[geometry.area(corners[order]) > 0]
    corners = corners[order]
    # OpenCV's class offset keeps classes apart only from coordinate 0 on.
    return order, corners - corners.min(initial=0.0)


def _same(labels: np.ndarray) -> np.ndarray:
    return labels[:, None] == labels[None, :]
