"""Matching and loss once more, in plain float64 loops, as the specification words them."""

from __future__ import annotations

import math

import numpy as np

from edge_passd import boxes as geometry


def assign(
    boxes: np.ndarray,
    objects: np.ndarray,
    labels: np.ndarray,
    ignored: np.ndarray,
    best_too: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """One picture: boxes (N, 4) and objects (M, 4) corners to classes (N,) and targets (N, 4).

    Of equal overlaps the first object, and the first box, counts.
    """
    overlap = geometry.iou(boxes, objects)
    wanted = [m for m in range(len(objects)) if labels[m] >= 0 and not ignored[m]]
    unwanted = [m for m in range(len(objects)) if labels[m] >= 0 and ignored[m]]
    owners: list[int | None] = [None] * len(boxes)
    for n in range(len(boxes)):
        if wanted:
            best = wanted[int(np.argmax(overlap[n, wanted]))]
            owners[n] = best if overlap[n, best] > 0.5 else None
    if best_too:
        claims: dict[int, int] = {}
        for m in wanted:
            n = int(np.argmax(overlap[:, m]))
            if overlap[n, m] > 0 and (n not in claims or overlap[n, m] > overlap[n, claims[n]]):
                claims[n] = m
        for n, m in claims.items():
            owners[n] = m
    classes = np.zeros(len(boxes), np.int64)
    targets = np.zeros((len(boxes), 4))
    for n, owner in enumerate(owners):
        if owner is not None:
            classes[n] = labels[owner] + 1
            targets[n] = objects[owner]
        elif any(overlap[n, m] > 0.5 for m in unwanted):
            classes[n] = -1
    return classes, targets


def stage(
    logits: np.ndarray, classes: np.ndarray, residuals: np.ndarray
) -> tuple[float, float, int]:
    """One picture, one stage: classification, regression and the number of positives.

    logits (N, C); classes (N,); residuals (N, 4) in units of the loss, used where positive.
    """
    entropy = [
        -(row[label] - row.max() - math.log(sum(math.exp(v - row.max()) for v in row)))
        for row, label in zip(logits, classes.clip(0), strict=True)
    ]
    positives = [n for n in range(len(classes)) if classes[n] > 0]
    negatives = [n for n in range(len(classes)) if classes[n] == 0]
    hardest = sorted(negatives, key=lambda n: -entropy[n])[: 3 * len(positives)]
    regression = 0.0
    for n in positives:
        for r in residuals[n]:
            regression += 0.5 * r * r if abs(r) < 1 else abs(r) - 0.5
    return sum(entropy[n] for n in (*positives, *hardest)), regression, len(positives)


def propose_residuals(
    adjusted: np.ndarray, default: np.ndarray, strides: np.ndarray, targets: np.ndarray, clip: bool
) -> np.ndarray:
    """(N, 4): how far the adjusted boxes (centres) are from the targets (corners)."""
    rows = []
    for box, base, stride, target in zip(adjusted, default, strides, targets, strict=True):
        x1, y1, x2, y2 = target
        if x2 <= x1:
            rows.append([0.0] * 4)
            continue
        dx, dy = (x1 + x2) / 2 - base[0], (y1 + y2) / 2 - base[1]
        if clip:
            limit = 0.48 * stride
            dx, dy = min(max(dx, -limit), limit), min(max(dy, -limit), limit)
        rows.append(
            [
                (box[0] - base[0] - dx) / base[2] / 0.1,
                (box[1] - base[1] - dy) / base[3] / 0.1,
                (math.log(box[2] / base[2]) - math.log((x2 - x1) / base[2])) / 0.2,
                (math.log(box[3] / base[3]) - math.log((y2 - y1) / base[3])) / 0.2,
            ]
        )
    return np.array(rows)


def attend_residuals(offsets: np.ndarray, adjusted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, 4): how far the offsets are from those that move adjusted boxes onto the targets."""
    rows = []
    for offset, box, target in zip(offsets, adjusted, targets, strict=True):
        if target[2] <= target[0]:
            rows.append([0.0] * 4)
            continue
        wanted = geometry.encode(geometry.centres(target), box)
        rows.append(list((offset - wanted) / np.array([0.1, 0.1, 0.2, 0.2])))
    return np.array(rows)
