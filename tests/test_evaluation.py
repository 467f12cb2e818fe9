"""The figures of `edge_passd.evaluation` against cases worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.detections import Detections
from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.evaluation import (
    COCO_NAMES,
    all_point,
    eleven_point,
    evaluate,
    figures,
    precision_recall,
)
from edge_passd.model_info import ModelInfo
from edge_passd.samples import DataSet, Sample

CLASSES = ("cat", "cup")
Box = Sequence[float]
Found = tuple[str, float, Box]  # class, score, corners


def sample(*objects: tuple[str, Box], image_id: int = 0, ignored: Sequence[int] = ()) -> Sample:
    """A photo of 600 x 600 pixels with these objects, of which `ignored` are difficult."""
    return Sample(
        image_id=image_id,
        path=Path(f"{image_id}.png"),
        width=600,
        height=600,
        boxes=np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        labels=np.array([CLASSES.index(name) for name, _ in objects], np.int64),
        difficult=np.isin(np.arange(len(objects)), list(ignored)),
        crowd=np.zeros(len(objects), bool),
    )


def found(*detections: Found) -> Detections:
    ranked = sorted(detections, key=lambda detection: -detection[1])
    return Detections(
        np.array([box for _, _, box in ranked], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in ranked], np.float32),
        np.array([CLASSES.index(name) for name, _, _ in ranked], np.int64),
        CLASSES,
    )


def data(*samples: Sample) -> DataSet:
    return DataSet("val", CLASSES, samples)


A, B, C = [100, 100, 200, 200], [300, 300, 400, 400], [450, 100, 550, 200]


def test_perfect_detections_score_one_everywhere() -> None:
    small, middle, large = [10, 10, 30, 30], [100, 100, 150, 150], [200, 200, 400, 400]
    truth = data(
        sample(("cat", small), ("cup", middle)), sample(("cat", large), ("cup", small), image_id=7)
    )
    result = figures(
        [
            found(("cat", 0.9, small), ("cup", 0.8, middle)),
            found(("cat", 0.7, large), ("cup", 0.6, small)),
        ],
        truth,
    )
    for name in (*COCO_NAMES, "VOC07", "VOC"):
        assert result[name] == pytest.approx(1), name
    assert result["images"] == 2
    for name in CLASSES:
        assert result["per_class"][name] == pytest.approx(
            {"AP": 1, "AP50": 1, "VOC07": 1, "VOC": 1}
        )


def test_a_shifted_box_counts_up_to_its_iou() -> None:
    # A fifth of its width beside the object: IoU 80 / 120, over .5, .55, .6, .65 of ten thresholds.
    truth = data(sample(("cat", A)))
    result = figures([found(("cat", 0.9, [120, 100, 220, 200]))], truth)
    assert result["AP"] == pytest.approx(0.4)
    assert result["AP50"] == pytest.approx(1)
    assert result["AP75"] == 0
    assert result["VOC"] == result["VOC07"] == pytest.approx(1)


def test_a_second_detection_of_an_object_is_wrong() -> None:
    truth = data(sample(("cat", A), ("cat", B)))
    result = figures([found(("cat", 0.9, A), ("cat", 0.8, A), ("cat", 0.7, B))], truth)
    # Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    assert result["VOC"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert result["VOC07"] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert result["AP50"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


@pytest.mark.parametrize("kind", ["difficult", "crowd"])
def test_difficult_and_crowd_objects_cost_and_earn_nothing(kind: str) -> None:
    of_b = np.array([False, True])
    plain = sample(("cat", A), ("cat", B))
    marked = replace(plain, difficult=of_b) if kind == "difficult" else replace(plain, crowd=of_b)
    unmarked = sample(("cat", A))
    hits = found(("cat", 0.9, B), ("cat", 0.85, B), ("cat", 0.8, A))
    for detections in (hits, found(("cat", 0.8, A))):  # found or not, B makes no difference
        assert figures([detections], data(marked))["VOC"] == pytest.approx(1)
        assert figures([detections], data(marked))["VOC07"] == pytest.approx(1)
        assert figures([detections], data(marked))["AP"] == pytest.approx(1)
    # Without the mark on it, a box on B is wrong.
    assert figures([hits], data(unmarked))["VOC"] == pytest.approx(1 / 3)


def test_a_class_without_objects_is_unknown_and_left_out_of_the_mean() -> None:
    truth = data(sample(("cat", A), ("cup", B), ignored=[1]))
    result = figures([found(("cat", 0.9, A), ("cup", 0.8, C))], truth)
    assert result["per_class"]["cup"] == {"AP": -1, "AP50": -1, "VOC07": -1, "VOC": -1}
    for name in ("AP", "VOC", "VOC07"):
        assert result[name] == pytest.approx(1), name


def test_no_detections_at_all_score_zero() -> None:
    result = figures([found(), found()], data(sample(("cat", A)), sample(image_id=1)))
    assert result["AP"] == result["AP50"] == result["VOC"] == result["VOC07"] == 0
    assert result["AP_S"] == result["AP_M"] == -1  # the one object is large
    assert result["AP_L"] == 0


def test_a_data_set_without_objects_has_no_figures() -> None:
    result = figures([found(("cat", 0.9, A))], data(sample()))
    assert {result[name] for name in (*COCO_NAMES, "VOC", "VOC07")} == {-1}


@pytest.mark.parametrize(("side", "name"), [(31, "AP_S"), (33, "AP_M"), (95, "AP_M"), (97, "AP_L")])
def test_sizes_are_cocos(side: int, name: str) -> None:
    box = [100, 100, 100 + side, 100 + side]
    result = figures([found(("cat", 0.9, box))], data(sample(("cat", box))))
    sizes = {key: result[key] for key in ("AP_S", "AP_M", "AP_L")}
    assert sizes.pop(name) == pytest.approx(1)
    assert set(sizes.values()) == {-1}


def test_a_curve_worked_by_hand() -> None:
    """Six detections on two photos with four cats: hit, miss, hit, miss, miss, hit."""
    miss = [10, 10, 60, 60]
    samples = (sample(("cat", A), ("cat", B)), sample(("cat", A), ("cat", C), image_id=1))
    detections = [
        found(("cat", 0.9, A), ("cat", 0.8, miss), ("cat", 0.4, B)),
        found(("cat", 0.7, A), ("cat", 0.6, miss), ("cat", 0.5, B), ("cup", 0.99, A)),
    ]
    recall, precision = precision_recall(detections, samples, label=0)
    np.testing.assert_allclose(recall, [1 / 4, 1 / 4, 2 / 4, 2 / 4, 2 / 4, 3 / 4])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 2 / 4, 2 / 5, 3 / 6])
    # Envelope: 1 up to recall 1/4, 2/3 up to 2/4, 1/2 up to 3/4, then nothing.
    assert all_point(recall, precision) == pytest.approx((1 + 2 / 3 + 1 / 2) / 4)
    # Points 0, .1, .2 at 1; .3, .4, .5 at 2/3; .6, .7 at 1/2; .8, .9, 1 at 0.
    assert eleven_point(recall, precision) == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 / 2) / 11)


@pytest.mark.parametrize("hits", range(11))
def test_a_recall_of_exactly_a_tenth_reaches_its_point(hits: int) -> None:
    recall = np.arange(1, hits + 1) / 10
    assert eleven_point(recall, np.ones(hits)) == pytest.approx((hits + 1) / 11 if hits else 0)


def test_a_detection_counts_once_its_iou_is_over_the_threshold() -> None:
    half = [100, 100, 200, 150]  # IoU of exactly one half with A
    for threshold, hit in ((0.5, 0.0), (0.49, 1.0)):
        recall, _ = precision_recall(
            [found(("cat", 0.9, half))], [sample(("cat", A))], 0, threshold
        )
        assert recall.tolist() == [hit]


# Detections of one photo: class, score, and how far (pixels) it lies beside its object.
detections_of_a_photo = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.floats(0.0625, 1, width=32), st.floats(0, 90)),
    max_size=8,
    unique_by=lambda row: row[1],
)


@given(rows=st.lists(detections_of_a_photo, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_coco_and_voc_figures_agree(rows: list[list[tuple[str, float, float]]]) -> None:
    """Objects far apart, at most one detection on each: both rules match the same pairs."""
    places = [[60 + 150 * (i % 3), 60 + 150 * (i // 3)] for i in range(9)]
    samples, detections = [], []
    for image_id, row in enumerate(rows):
        objects: list[tuple[str, Box]] = [
            (CLASSES[i % 2], [x, y, x + 100, y + 100]) for i, (x, y) in enumerate(places)
        ]
        samples.append(sample(*objects, image_id=image_id))
        detections.append(
            found(
                *[
                    (name, score, [x + shift, y, x + shift + 100, y + 100])
                    for (name, score, shift), (x, y) in zip(row, places, strict=False)
                    if abs(shift - 100 / 3) > 0.1  # IoU of one half: > and >= part there
                ]
            )
        )
    result = figures(detections, data(*samples))
    assert result["AP50"] == pytest.approx(result["VOC"], abs=0.011)  # 101 points against an area
    assert abs(result["VOC07"] - result["VOC"]) < 0.1
    rounding = 1e-9
    assert 0 <= result["AP75"] <= result["AP50"] + rounding
    assert result["AP"] <= result["AP50"] + rounding


class FixedEngine:
    """An engine that sees the same box of its 64-pixel input in every photo."""

    name = "fixed"
    metadata = ModelInfo("fixed", CLASSES, 64).to_json()

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        box = np.array([[[16, 16, 32, 32]]], np.float32)
        return box, np.array([[[0.1, 0.9, 0.0]]], np.float32)


@pytest.fixture
def on_disk(photo: np.ndarray, tmp_path: Path) -> DataSet:
    """One photo whose cat is where the engine sees it: a quarter in, a quarter wide."""
    height, width = photo.shape[:2]
    cv2.imwrite(str(tmp_path / "cat.png"), photo)
    cat = [width / 4, height / 4, width / 2, height / 2]
    there = replace(sample(("cat", cat)), path=tmp_path / "cat.png", width=width, height=height)
    return data(there, replace(there, image_id=1))


def test_a_detector_is_measured_on_photos(on_disk: DataSet) -> None:
    done: list[int] = []
    result = evaluate(Detector.from_engine(FixedEngine()), on_disk, done.append)
    assert result["AP"] == result["VOC"] == pytest.approx(1)
    assert result["images"] == 2
    assert done == [1, 2]


def test_other_classes_are_refused(on_disk: DataSet) -> None:
    other = replace(on_disk, classes=("cup", "cat"))
    with pytest.raises(BadInput, match=r"model knows cat, cup; the data set val has cup, cat"):
        evaluate(Detector.from_engine(FixedEngine()), other)


def test_a_photo_that_is_gone_is_named(on_disk: DataSet) -> None:
    on_disk.samples[0].path.unlink()
    with pytest.raises(BadInput, match=r"cat\.png"):
        evaluate(Detector.from_engine(FixedEngine()), on_disk)
