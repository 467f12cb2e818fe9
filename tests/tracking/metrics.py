"""How well tracks follow the truth: MOTA and ID switches (CLEAR MOT, Bernardin and Stiefelhagen
2008), IDF1 (Ristani et al. 2016)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from edge_passd.boxes import iou
from edge_passd.detections import Detections
from tests.tracking.sequences import Step

HIT = 0.5  # IoU from which a tracked box is the true one


@dataclass(frozen=True)
class Quality:
    """mota: 1 at best. idf1: 0-1. switches: how often the track of a true object changed."""

    mota: float
    idf1: float
    switches: int


def quality(steps: list[Step], tracked: list[Detections]) -> Quality:
    """Of what a tracker made of a film."""
    truth = sum(len(step.ids) for step in steps)
    given = sum(map(len, tracked))
    hits = switches = 0
    together: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    for step, found in zip(steps, tracked, strict=True):
        assert found.ids is not None
        overlap = iou(step.boxes, found.boxes)
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
            if overlap[row, column] < HIT:
                continue
            true, track = int(step.ids[row]), int(found.ids[column])
            hits += 1
            switches += last.get(true, track) != track
            last[true] = track
            together[true, track] += 1
    errors = (truth - hits) + (given - hits) + switches
    return Quality(
        1 - errors / truth, 2 * _in_the_best_matching(together) / (truth + given), switches
    )


def _in_the_best_matching(together: Counter[tuple[int, int]]) -> int:
    """Frames that agree when each true object is given one track for good."""
    if not together:
        return 0
    true, tracks = (sorted(set(column)) for column in zip(*together, strict=True))
    table = np.array([[together[row, column] for column in tracks] for row in true])
    return int(table[linear_sum_assignment(table, maximize=True)].sum())
