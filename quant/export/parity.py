"""The gate after every export: does the file compute what the model computes, on real photos?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.boxes import iou
from edge_passd.detections import Detections
from edge_passd.detector import Detector
from edge_passd.engines.base import Engine
from edge_passd.photo import read_photo

# The limits of float32. Every box of every default box counts, not only those shown.
MAX_BOX_ERROR = 0.01  # pixels of the model input
MAX_SCORE_ERROR = 1e-4

# What counts as the same detection after NMS.
SAME_IOU = 0.99
SAME_SCORE = 1e-3

# NMS and the cut at the 200 best decide on a knife's edge now and then, where rounding tips them.
MIN_MATCHED = 0.995

# Scores this close to the threshold may fall on either side of it.
THRESHOLD_SLACK = 1e-3


@dataclass(frozen=True)
class Worst:
    """The largest error of one output and where it is: photo, default box, values there."""

    error: float
    photo: str
    index: int
    expected: list[float]
    found: list[float]


@dataclass(frozen=True)
class Parity:
    """How one engine on one file compares with the reference on `photos` photos.

    boxes: pixels of the model input; scores: 0-1; mean errors over all elements. matched: share of
    detections after NMS that the other has too; detections: of the reference.
    """

    engine: str
    photos: int
    boxes: Worst
    scores: Worst
    mean_box_error: float
    mean_score_error: float
    matched: float
    detections: int

    @property
    def problem(self) -> str | None:
        """What breaks the gate, in words, or None."""
        for name, worst, limit, unit in (
            ("boxes", self.boxes, MAX_BOX_ERROR, " px"),
            ("scores", self.scores, MAX_SCORE_ERROR, ""),
        ):
            if not worst.error <= limit:
                return (
                    f"{self.engine}: output {name!r} differs by {worst.error:.3g}{unit} (limit "
                    f"{limit:g}) on {worst.photo}, default box {worst.index}: "
                    f"{_rounded(worst.found)} instead of {_rounded(worst.expected)}"
                )
        if self.matched < MIN_MATCHED:
            return (
                f"{self.engine}: only {self.matched:.2%} of the detections after NMS are the same "
                f"(limit {MIN_MATCHED:.1%})"
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """For the file's metadata: errors, counts and shares."""
        return {**asdict(self), "boxes": self.boxes.error, "scores": self.scores.error}


def compare(
    reference: Engine,
    engine: Engine,
    photos: Sequence[Path],
    progress: Callable[[], None] = lambda: None,
) -> Parity:
    """Run both engines on the photos. NaN in either counts as an infinite error."""
    expected_detector, found_detector = (
        Detector.from_engine(reference),
        Detector.from_engine(engine),
    )
    worst: dict[str, Worst] = {}
    totals = np.zeros(2)
    same, detections = 0, 0
    for path in photos:
        tensor, placement = expected_detector.preprocess(read_photo(path))
        expected, found = reference.run(tensor), engine.run(tensor)
        for i, name in enumerate(("boxes", "scores")):
            error = np.nan_to_num(np.abs(found[i] - expected[i])[0], nan=np.inf)
            totals[i] += error.mean() / len(photos)
            index = int(error.max(1).argmax())
            if name not in worst or error[index].max() > worst[name].error:
                worst[name] = Worst(
                    float(error[index].max()),
                    path.name,
                    index,
                    expected[i][0, index].tolist(),
                    found[i][0, index].tolist(),
                )
        first = expected_detector.postprocess(expected[0][0], expected[1][0], placement)
        second = found_detector.postprocess(found[0][0], found[1][0], placement)
        floor = expected_detector.info.score_threshold + THRESHOLD_SLACK
        pairs = ((first, second), (second, first))
        same += sum(_found_again(a.filter(floor), b) for a, b in pairs)
        detections += len(first.filter(floor)) + len(second.filter(floor))
        progress()
    return Parity(
        engine.name,
        len(photos),
        worst["boxes"],
        worst["scores"],
        float(totals[0]),
        float(totals[1]),
        same / detections if detections else 1.0,
        detections // 2,
    )


def _found_again(first: Detections, second: Detections) -> int:
    """How many of the first stand in the second too."""
    same = (
        (iou(first.boxes, second.boxes) >= SAME_IOU)
        & (first.labels[:, None] == second.labels)
        & (np.abs(first.scores[:, None] - second.scores) <= SAME_SCORE)
    )
    return int(same.any(1).sum())


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(value, 4) for value in values]
