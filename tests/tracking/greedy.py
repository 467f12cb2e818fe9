"""The tracker that anybody writes first: the best overlap with the frame before wins."""

from __future__ import annotations

import numpy as np

from edge_passd.boxes import iou
from edge_passd.detections import Detections


class GreedyTracker:
    """Greedy IoU between two frames in a row; no motion, no memory, no weak detections."""

    def __init__(self, conf: float = 0.4, least: float = 0.2) -> None:
        self._conf, self._least = conf, least
        self._boxes, self._ids = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        self._next = 1

    def update(self, detections: Detections, time_s: float) -> Detections:
        """As `Tracker.update`."""
        found = detections.filter(self._conf)
        overlap = iou(self._boxes, found.boxes)
        ids = np.zeros(len(found), np.int64)
        while overlap.size and overlap.max() >= self._least:
            row, column = np.unravel_index(overlap.argmax(), overlap.shape)
            ids[column] = self._ids[row]
            overlap[row], overlap[:, column] = 0, 0
        new = np.flatnonzero(ids == 0)
        ids[new] = self._next + np.arange(len(new))
        self._next += len(new)
        self._boxes, self._ids = found.boxes, ids
        return Detections(found.boxes, found.scores, found.labels, found.classes, ids)
