"""The gate after every conversion: does the file compute what its source does, on real photos?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.boxes import iou
from edge_passd.detections import Detections
from edge_passd.detector import Detector
from edge_passd.engines.base import Engine
from edge_passd.photo import read_photo

# In the name of a file that did not pass and is kept to be looked into.
FAILED_GATE = ".failed."


@dataclass(frozen=True)
class Limits:
    """What an engine may differ by. Errors are over every default box, not only those shown.

    box_error, score_error: the largest; mean_box_error, mean_score_error: on average. Boxes in
    pixels of the model input.
    A detection of `floor` or more is matched when the other engine has one of its class with
    `same_iou` and a score within `same_score`; `matched` is the least share that must be. NMS and
    the cut at the 200 best decide on a knife's edge now and then, where rounding tips them.
    """

    box_error: float
    mean_box_error: float
    score_error: float
    mean_score_error: float
    floor: float
    same_iou: float
    same_score: float
    matched: float


FLOAT_LIMITS = Limits(
    box_error=0.01,
    mean_box_error=0.001,
    score_error=1e-4,
    mean_score_error=1e-5,
    floor=0.011,  # above the model's own threshold, on either side of which a score may fall
    same_iou=0.99,
    same_score=1e-3,
    matched=0.995,
)
# Integer kernels differ in rounding, once in some ten thousand values, and every layer rounds anew:
# a step of difference in a layer's input becomes differences in its outputs, so that after half a
# dozen layers the two are as far apart as rounding noise gets. onnxruntime with its optimisations
# is as far from itself without. A broken conversion is much further off.
INT8_LIMITS = Limits(
    box_error=32.0,
    mean_box_error=1.0,
    score_error=0.3,
    mean_score_error=5e-4,
    floor=0.3,  # weaker ones win or lose against their neighbours in NMS by noise alone
    same_iou=0.9,
    same_score=0.3,
    matched=0.85,
)
# Compiled float32 against float64: a sum of 2,304 products in one chain rounds more than the parts
# that other engines add up. On trained weights 0.0005 px were seen, on random ones 0.03.
COMPILED_FLOAT_LIMITS = replace(FLOAT_LIMITS, box_error=0.05)
# Halves have eleven bits, rounded anew after each layer: on trained weights 0.3 px and 0.004 were
# seen, 0.02 px and 3e-6 on average; on random ones, whose scores are all in between, 2e-4.
COMPILED_HALF_LIMITS = Limits(
    box_error=4.0,
    mean_box_error=0.1,
    score_error=0.05,
    mean_score_error=1e-3,
    floor=0.3,  # as in int8
    same_iou=0.95,
    same_score=0.05,
    matched=0.95,  # all of them with trained weights; random ones crowd NMS with equal scores
)
# Between two that round alike, as compiled kernels and their definition do, only the float head
# differs.
EXACT_INT8_LIMITS = Limits(
    box_error=0.05,
    mean_box_error=1e-4,
    score_error=1e-3,
    mean_score_error=1e-6,
    floor=0.011,
    same_iou=0.99,
    same_score=1e-3,
    matched=0.995,
)


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
    detections after NMS that the other has too; detections: of the reference. limits: of the gate.
    """

    engine: str
    photos: int
    boxes: Worst
    scores: Worst
    mean_box_error: float
    mean_score_error: float
    matched: float
    detections: int
    limits: Limits

    @property
    def problem(self) -> str | None:
        """What breaks the gate, in words, or None."""
        limits = self.limits
        for name, worst, limit, mean, mean_limit, unit in (
            ("boxes", self.boxes, limits.box_error, self.mean_box_error, limits.mean_box_error,
             " px"),
            ("scores", self.scores, limits.score_error, self.mean_score_error,
             limits.mean_score_error, ""),
        ):  # fmt: skip
            if not worst.error <= limit:
                return (
                    f"{self.engine}: output {name!r} differs by {worst.error:.3g}{unit} (limit "
                    f"{limit:g}) on {worst.photo}, default box {worst.index}: "
                    f"{_rounded(worst.found)} instead of {_rounded(worst.expected)}"
                )
            if not mean <= mean_limit:
                return (
                    f"{self.engine}: output {name!r} differs by {mean:.3g}{unit} on average "
                    f"(limit {mean_limit:g})"
                )
        if self.matched < limits.matched:
            return (
                f"{self.engine}: only {self.matched:.2%} of the detections after NMS are the same "
                f"(limit {limits.matched:.1%})"
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """For the file's metadata: errors, counts and shares."""
        return {**asdict(self), "boxes": self.boxes.error, "scores": self.scores.error}


def compare(
    reference: Engine,
    engine: Engine,
    photos: Sequence[Path],
    limits: Limits,
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
        pairs = ((first, second), (second, first))
        same += sum(_found_again(a.filter(limits.floor), b, limits) for a, b in pairs)
        detections += len(first.filter(limits.floor)) + len(second.filter(limits.floor))
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
        limits,
    )


def _found_again(first: Detections, second: Detections, limits: Limits) -> int:
    """How many of the first stand in the second too."""
    same = (
        (iou(first.boxes, second.boxes) >= limits.same_iou)
        & (first.labels[:, None] == second.labels)
        & (np.abs(first.scores[:, None] - second.scores) <= limits.same_score)
    )
    return int(same.any(1).sum())


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(value, 4) for value in values]
