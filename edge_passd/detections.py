"""What a detector found in one photo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_passd.drawing import class_colour, draw_boxes
from edge_passd.errors import BadInput


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes, scores and labels of one photo, best score first.

    boxes: (K, 4) float32, x1 y1 x2 y2 in photo pixels, inside the photo; K may be 0.
    scores: (K,) float32, 0-1. labels: (K,) int64, index into `classes`.
    ids: (K,) int64 of what they were tracked as, or None when they were not.
    Raises ValueError when the shapes disagree.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = self.boxes.shape, self.scores.shape, self.labels.shape
        count = len(self.scores)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"boxes, scores and labels disagree: {shapes}")
        if self.ids is not None and self.ids.shape != (count,):
            raise ValueError(f"{count} detections with ids of shape {self.ids.shape}")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> tuple[str, ...]:
        """Class name of each detection."""
        return tuple(self.classes[label] for label in self.labels)

    def filter(self, conf: float = 0.0, classes: Iterable[str] | None = None) -> Detections:
        """The detections with score >= conf, of the named classes (all when None).

        Raises BadInput for a name that is not in `classes`.
        """
        wanted = self.scores >= conf
        if classes is not None:
            wanted &= np.isin(self.labels, class_labels(classes, self.classes))
        return Detections(
            self.boxes[wanted],
            self.scores[wanted],
            self.labels[wanted],
            self.classes,
            None if self.ids is None else self.ids[wanted],
        )

    def to_dict(self) -> list[dict[str, Any]]:
        """[{"label", "score", "box": [x1, y1, x2, y2]}], plain numbers, pixels to one decimal.

        "id" as well, when they were tracked.
        """
        ids = [{}] * len(self) if self.ids is None else [{"id": i} for i in self.ids.tolist()]
        return [
            {"label": name, "score": round(score, 4), "box": [round(x, 1) for x in box], **of_track}
            for name, score, box, of_track in zip(
                self.names, self.scores.tolist(), self.boxes.tolist(), ids, strict=True
            )
        ]

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO results: bbox is x, y, width, height in pixels; category_id counts from 1."""
        return [
            {
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
            }
            for label, score, (x1, y1, x2, y2) in zip(
                self.labels.tolist(), self.scores.tolist(), self.boxes.tolist(), strict=True
            )
        ]

    def draw(self, image: np.ndarray) -> np.ndarray:
        """A new (H, W, 3) uint8 BGR picture: `image` (see `photo.as_bgr`) with the boxes on it.

        A box says "dog 0.93", or "dog #7" when it was tracked.
        """
        if self.ids is None:
            ends = [f"{score:.2f}" for score in self.scores]
        else:
            ends = [f"#{i}" for i in self.ids.tolist()]
        texts = [f"{name} {end}" for name, end in zip(self.names, ends, strict=True)]
        return draw_boxes(image, self.boxes, texts, [class_colour(i) for i in self.labels.tolist()])


def class_labels(names: Iterable[str], classes: tuple[str, ...]) -> list[int]:
    """Labels of the named classes; BadInput for an unknown name lists the known ones."""
    names = list(names)
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise BadInput(f"the model knows no class {unknown[0]!r}; it knows {', '.join(classes)}")
    return [classes.index(name) for name in names]
