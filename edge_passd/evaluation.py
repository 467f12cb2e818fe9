"""Accuracy of a detector on a data set: COCO's figures and VOC's, per class.

Everything is measured through `Detector`, so what counts is what `run` shows.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from edge_passd.any_detector import AnyDetector
from edge_passd.boxes import iou
from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.photo import read_photo
from edge_passd.samples import DataSet, Sample

COCO_NAMES = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


def evaluate(
    detector: AnyDetector, data: DataSet, progress: Callable[[int], object] | None = None
) -> dict[str, Any]:
    """Detect on every photo and compare with the ground truth; all figures 0-1.

    Returns AP, AP50, AP75, AP_S, AP_M, AP_L (COCO; -1 where no object has that size), VOC07 and
    VOC (mean AP at IoU 0.5, 11-point and all-point), per_class (AP, AP50, VOC07 and VOC by name)
    and images. progress: called with the number of photos done. Raises BadInput if the classes
    differ or a photo cannot be read.
    """
    return figures(detect_all(detector, data, progress), data)


def detect_all(
    detector: AnyDetector, data: DataSet, progress: Callable[[int], object] | None = None
) -> list[Detections]:
    """The detections in every photo, in the order of the samples; otherwise as `evaluate`."""
    require_classes(detector, data)
    found = []
    for number, sample in enumerate(data.samples, start=1):
        # Boxes are annotated on the pixels as stored, whatever orientation the EXIF data asks for.
        found.append(detector.detect(read_photo(sample.path, upright=False)))
        if progress:
            progress(number)
    return found


def require_classes(detector: AnyDetector, data: DataSet) -> None:
    """Raise BadInput unless the model and the data set have the same classes."""
    if detector.classes != data.classes:
        raise BadInput(
            f"the model knows {', '.join(detector.classes)}; the data set {data.name} has "
            f"{', '.join(data.classes)}: they must be the same, in the same order"
        )


def figures(found: Sequence[Detections], data: DataSet) -> dict[str, Any]:
    """As `evaluate`, from detections that are already there, one per sample."""
    result, coco_classes = _coco(found, data)
    voc = {}
    for label, name in enumerate(data.classes):
        recall, precision = precision_recall(found, data.samples, label)
        voc[name] = {
            "VOC07": eleven_point(recall, precision),
            "VOC": all_point(recall, precision),
        }
    per_class = {name: {**coco_classes[name], **voc[name]} for name in data.classes}
    for key in ("VOC07", "VOC"):
        known = [v[key] for v in voc.values() if not np.isnan(v[key])]
        result[key] = float(np.mean(known)) if known else -1.0
    for values in per_class.values():
        values.update({k: -1.0 for k, v in values.items() if np.isnan(v)})
    return {**result, "images": len(data.samples), "per_class": per_class}


def _coco(
    found: Sequence[Detections], data: DataSet
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    evaluation = coco_evaluation(found, data)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports on stdout
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = [float(v) for v in evaluation.stats[: len(COCO_NAMES)]]
    precision = evaluation.eval["precision"]  # (IoU, recall, class, area, detections)
    classes = {}
    for index, name in enumerate(data.classes):
        per_iou = precision[:, :, index, 0, -1]
        known = bool((per_iou > -1).any())
        classes[name] = {
            "AP": float(per_iou[per_iou > -1].mean()) if known else -1.0,
            "AP50": float(per_iou[0].mean()) if known else -1.0,
        }
    return dict(zip(COCO_NAMES, values, strict=True)), classes


def require_pycocotools() -> None:
    """Raise BadInput unless it is installed."""
    if find_spec("pycocotools") is None:
        raise BadInput("measuring needs pycocotools: pip install 'edge-passd[report]'")


def coco_evaluation(found: Sequence[Detections], data: DataSet) -> Any:
    """pycocotools' `COCOeval` of the detections, one per sample, ready for its `evaluate`.

    It reports on stdout. Raises BadInput where pycocotools is not installed.
    """
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = COCO(), []
    truth.dataset = _coco_truth(data)
    for sample, detections in zip(data.samples, found, strict=True):
        results += detections.to_coco(sample.image_id)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        # loadRes refuses an empty list; an empty index is what it stands for.
        predictions = truth.loadRes(results) if results else _empty_results(truth)
        return COCOeval(truth, predictions, "bbox")


def _coco_truth(data: DataSet) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for sample in data.samples:
        for box, label, crowd, difficult in zip(
            sample.boxes.tolist(), sample.labels.tolist(), sample.crowd, sample.difficult,
            strict=True,
        ):  # fmt: skip
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": sample.image_id,
                    "category_id": label + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    # pycocotools knows one way to leave an object out, and it is this flag.
                    "iscrowd": int(crowd or difficult),
                }
            )
    return {
        "images": [{"id": s.image_id, "width": s.width, "height": s.height} for s in data.samples],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(data.classes)],
    }


def _empty_results(truth: Any) -> Any:
    empty = type(truth)()
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def precision_recall(
    found: Sequence[Detections], samples: Sequence[Sample], label: int, threshold: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision after each detection of one class in falling order of score.

    VOC's rule: a detection takes the object it overlaps most, if IoU > threshold; a second one on
    the same object is wrong; one on a difficult (or crowd) object does not count. Both (K,)
    float64; recall is NaN where the class has no object.
    """
    scores, hits = [], []
    objects = 0
    for detections, sample in zip(found, samples, strict=True):
        mine = sample.labels == label
        boxes, ignored = sample.boxes[mine], sample.ignored[mine]
        objects += int((~ignored).sum())
        theirs = detections.labels == label
        order = np.argsort(-detections.scores[theirs], kind="stable")
        overlaps = iou(detections.boxes[theirs][order], boxes)
        taken = np.zeros(len(boxes), bool)
        for score, overlap in zip(detections.scores[theirs][order], overlaps, strict=True):
            best = int(overlap.argmax()) if len(overlap) else -1
            matched = best >= 0 and overlap[best] > threshold
            if matched and ignored[best]:
                continue
            hits.append(bool(matched and not taken[best]))
            scores.append(float(score))
            if matched:
                taken[best] = True
    order = np.argsort(-np.array(scores, float), kind="stable")
    correct = np.cumsum(np.array(hits, float)[order])
    recall = correct / objects if objects else np.full(len(correct) or 1, np.nan)
    if not objects:
        return recall, np.zeros_like(recall)
    return recall, correct / np.arange(1, len(correct) + 1)


def eleven_point(recall: np.ndarray, precision: np.ndarray) -> float:
    """VOC2007: mean over recall 0, 0.1, ..., 1 of the best precision at that recall or beyond."""
    if np.isnan(recall).any():
        return float("nan")
    # Not linspace: its 0.3 is a little more than 3 / 10, and a recall of 3 in 10 would miss it.
    points = np.arange(11) / 10
    return float(np.mean([precision[recall >= at].max(initial=0.0) for at in points]))


def all_point(recall: np.ndarray, precision: np.ndarray) -> float:
    """VOC2010 and later: area under the precision envelope."""
    if np.isnan(recall).any():
        return float("nan")
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * envelope))
