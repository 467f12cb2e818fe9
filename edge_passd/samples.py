"""Annotated photos: what the data readers give and what training and measuring take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One photo and its ground truth.

    boxes: (M, 4) float32, x1 y1 x2 y2 in pixels of the stored photo; M may be 0.
    labels: (M,) int64, index into the data set's `classes` (background is not among them).
    difficult, crowd: (M,) bool, VOC's `difficult` and COCO's `iscrowd`. Such boxes are neither
        positives nor negatives in training and cost nothing when measuring.
    """

    image_id: int
    path: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray

    @property
    def ignored(self) -> np.ndarray:
        """(M,) bool: boxes that take no part in the loss."""
        return self.difficult | self.crowd


@dataclass(frozen=True)
class DataSet:
    """One split of a data set: its class names in index order and its photos."""

    name: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
