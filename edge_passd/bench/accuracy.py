"""Accuracy with an interval, from the artefact whose speed was measured.

The bootstrap is over photos. Its draws depend on nothing but the number of photos, so that the
replicates of two artefacts on the same data set belong together in pairs, even from two rows that
were measured apart: their difference has an interval of its own, much narrower than either.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_passd.bench.statistics import REPLICATES, Interval, bounds
from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.evaluation import coco_evaluation, figures
from edge_passd.samples import DataSet


@dataclass(frozen=True)
class Matches:
    """The detections of one class in falling order of score, matched as COCO does.

    hits, misses: (T, K) bool at T thresholds of IoU; neither where the detection does not count.
    photo: (K,) int, index of the photo. objects: (P,) int, those to find in each of P photos.
    recalls: (R,) at which precision is read.
    """

    hits: np.ndarray
    misses: np.ndarray
    photo: np.ndarray
    objects: np.ndarray
    recalls: np.ndarray


def accuracy(found: Sequence[Detections], data: DataSet) -> dict[str, Any]:
    """`evaluation.figures`, and of AP the interval and the replicates; null for a draw without
    objects."""
    replicates = ap_replicates(coco_matches(found, data), len(data.samples))
    low, high = bounds(replicates)
    return {
        "data": data.name,
        "data_sha256": data_sha256(data),
        **figures(found, data),
        "AP_interval": [round(low, 5), round(high, 5)],
        "AP_replicates": [None if np.isnan(each) else round(each, 5) for each in replicates],
    }


def ap_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Interval:
    """Our AP less theirs, of two results of `accuracy` on the same data set; paired by photo.

    Raises BadInput if the data sets differ.
    """
    require_same_data(ours["data"], ours["data_sha256"], theirs)
    pairs = (np.array(each["AP_replicates"], float) for each in (ours, theirs))
    return Interval(ours["AP"] - theirs["AP"], *bounds(np.subtract(*pairs)))


def require_same_data(name: str, sha256: str, theirs: Mapping[str, Any]) -> None:
    """Raise BadInput unless `theirs`, a result of `accuracy`, is on the data set given."""
    if sha256 != theirs["data_sha256"]:
        raise BadInput(
            f"two data sets: {name} and {theirs['data']} of {theirs['images']} photos; a "
            "difference in AP means something on the same photos only"
        )


def require_objects(data: DataSet) -> None:
    """Raise BadInput unless something is labelled."""
    if all(sample.ignored.all() for sample in data.samples):
        raise BadInput(
            f"{data.name}: no object is labelled in {len(data.samples)} photos, so there is no "
            "accuracy to measure; give a split with labels"
        )


def data_sha256(data: DataSet) -> str:
    """Of classes and annotations: hexadecimal digits that differ for another data set."""
    samples = [
        [
            sample.image_id,
            sample.path.name,
            sample.width,
            sample.height,
            sample.boxes.tolist(),
            sample.labels.tolist(),
            sample.ignored.tolist(),
        ]
        for sample in data.samples
    ]
    return hashlib.sha256(json.dumps([data.classes, samples]).encode()).hexdigest()


def coco_matches(found: Sequence[Detections], data: DataSet) -> list[Matches]:
    """The matches of each class that has objects; photos are numbered by rising image id."""
    evaluation = coco_evaluation(found, data)
    parameters = evaluation.params
    # Every size at once is the first of its areas.
    parameters.areaRng, parameters.areaRngLbl = parameters.areaRng[:1], parameters.areaRngLbl[:1]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    photos = len(parameters.imgIds)
    recalls = np.array(parameters.recThrs)
    classes = [
        _class_matches(evaluation.evalImgs[start : start + photos], recalls)
        for start in range(0, len(evaluation.evalImgs), photos)
    ]
    return [each for each in classes if each.objects.any()]


def ap_replicates(matches: Sequence[Matches], photos: int) -> np.ndarray:
    """(REPLICATES,) AP of data sets drawn with replacement; NaN for one without objects."""
    rng = np.random.default_rng(0)
    weights = rng.multinomial(photos, np.full(photos, 1 / photos), REPLICATES)
    return np.array([weighted_ap(matches, each) for each in weights])


def weighted_ap(matches: Sequence[Matches], weights: np.ndarray) -> float:
    """AP where photo i counts weights[i] times, as if it stood so often in the data set.

    weights: (P,) int from 0 up. NaN if that leaves no object.
    """
    classes = [_class_ap(each, weights) for each in matches if each.objects @ weights]
    return float(np.mean(classes)) if classes else float("nan")


def _class_ap(matches: Matches, weights: np.ndarray) -> float:
    each = weights[matches.photo]
    hits = np.cumsum(matches.hits * each, axis=1)
    counted = hits + np.cumsum(matches.misses * each, axis=1)
    precision = hits / np.maximum(counted, 1)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # A recall that is never reached has precision 0.
    best_from_here = np.pad(best_from_here, ((0, 0), (0, 1)))
    recall = hits / (matches.objects @ weights)
    rows = zip(best_from_here, recall, strict=True)
    return float(np.mean([best[np.searchsorted(at, matches.recalls)] for best, at in rows]))


def _class_matches(photos: Sequence[Mapping[str, Any] | None], recalls: np.ndarray) -> Matches:
    """From COCOeval's record of each photo; None where it has neither objects nor detections."""
    objects = np.array([0 if each is None else np.sum(each["gtIgnore"] == 0) for each in photos])
    known = [(number, each) for number, each in enumerate(photos) if each is not None]
    if not known:
        return Matches(*(np.zeros((0, 0), bool),) * 2, np.zeros(0, int), objects, recalls)
    matched = np.concatenate([each["dtMatches"] for _, each in known], axis=1) != 0
    counts = np.concatenate([each["dtIgnore"] for _, each in known], axis=1) == 0
    scores = np.concatenate([each["dtScores"] for _, each in known])
    photo = np.repeat(*np.array([(n, len(each["dtScores"])) for n, each in known]).T)
    order = np.argsort(-scores, kind="stable")
    # Behind the last hit precision only falls, which AP does not see: most of the detections.
    seen = 1 + np.flatnonzero((matched & counts)[:, order].any(0)).max(initial=-1)
    order = order[:seen]
    return Matches(
        (matched & counts)[:, order],
        (~matched & counts)[:, order],
        photo[order],
        objects,
        recalls,
    )
