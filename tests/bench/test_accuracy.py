"""AP with an interval: against COCO's own arithmetic on data sets that are really drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.bench.accuracy import (
    accuracy,
    ap_difference,
    coco_matches,
    data_sha256,
    require_objects,
    weighted_ap,
)
from edge_passd.bench.statistics import REPLICATES
from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.evaluation import figures
from edge_passd.samples import DataSet, Sample

CLASSES = ("cat", "cup")


def scene(seed: int, photos: int = 6, skill: float = 0.7) -> tuple[list[Detections], DataSet]:
    """Random objects, some ignored, and detections of which a share `skill` is nearly right."""
    rng = np.random.default_rng(seed)
    found, samples = [], []
    for image_id in rng.permutation(photos).tolist():
        count = int(rng.integers(0, 4))
        corners = rng.uniform(0, 300, (count, 2))
        boxes = np.hstack([corners, corners + rng.uniform(20, 200, (count, 2))]).astype(np.float32)
        labels = rng.integers(0, 2, count)
        samples.append(
            Sample(
                image_id, Path(f"{image_id}.png"), 600, 600, boxes, labels,
                rng.uniform(size=count) < 0.2, rng.uniform(size=count) < 0.1,
            )
        )  # fmt: skip
        shift = np.where(rng.uniform(size=(count, 1)) < skill, 5, 150) * rng.normal(size=(count, 1))
        scores = np.sort(rng.uniform(size=count))[::-1].astype(np.float32)
        found.append(Detections(boxes + shift.astype(np.float32), scores, labels, CLASSES))
    return found, DataSet("drawn", CLASSES, tuple(samples))


def drawn(
    found: Sequence[Detections], data: DataSet, counts: Sequence[int]
) -> tuple[list[Detections], DataSet]:
    """The data set in which photo i, by rising image id, stands counts[i] times."""
    order = sorted(range(len(found)), key=lambda i: data.samples[i].image_id)
    picks = [i for i, count in zip(order, counts, strict=True) for _ in range(count)]
    samples = tuple(replace(data.samples[i], image_id=new) for new, i in enumerate(picks))
    return [found[i] for i in picks], replace(data, samples=samples)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_weight_is_as_many_copies_of_the_photo(seed: int, counts: list[int]) -> None:
    found, data = scene(seed)
    weighted = weighted_ap(coco_matches(found, data), np.array(counts))
    copies = figures(*drawn(found, data, counts))["AP"] if any(counts) else -1
    assert (-1 if np.isnan(weighted) else weighted) == pytest.approx(copies, abs=1e-9)


@pytest.mark.parametrize("skill", [0.0, 0.5, 1.0])
def test_the_figures_are_those_of_eval_and_the_interval_surrounds_them(skill: float) -> None:
    found, data = scene(1, photos=60, skill=skill)
    result = accuracy(found, data)
    assert {key: result[key] for key in figures(found, data)} == figures(found, data)
    low, high = result["AP_interval"]
    assert 0 <= low <= result["AP"] <= high <= 1
    assert len(result["AP_replicates"]) == REPLICATES
    assert result["images"] == 60


def test_more_photos_narrow_the_interval() -> None:
    widths = []
    for photos in (20, 320):
        low, high = accuracy(*scene(2, photos))["AP_interval"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_an_artefact_does_not_differ_from_itself() -> None:
    result = accuracy(*scene(3, photos=30))
    assert ap_difference(result, result) == (0, 0, 0)


def test_pairs_of_photos_tell_two_close_detectors_apart() -> None:
    # Both err on the same photos, so that each alone has a wide interval, and their difference not.
    found, data = scene(4, photos=80)
    worse = [replace_boxes(each, -3) if number % 2 else each for number, each in enumerate(found)]
    ours, theirs = accuracy(found, data), accuracy(worse, data)
    difference = ap_difference(ours, theirs)
    assert difference.value == pytest.approx(ours["AP"] - theirs["AP"])
    assert 0 < difference.low < difference.value < difference.high
    assert ours["AP_interval"][0] < theirs["AP_interval"][1]  # they overlap
    reverse = ap_difference(theirs, ours)
    assert reverse == pytest.approx((-difference.value, -difference.high, -difference.low))


def replace_boxes(detections: Detections, shift: float) -> Detections:
    return replace(detections, boxes=detections.boxes + np.float32(shift))


def test_a_draw_without_objects_has_no_figure() -> None:
    _, data = scene(5, photos=2)
    box = np.array([[10, 10, 90, 90]], np.float32)
    one = replace(
        data.samples[0], boxes=box, labels=np.zeros(1, int),
        difficult=np.zeros(1, bool), crowd=np.zeros(1, bool),
    )  # fmt: skip
    nothing = replace(one, image_id=1 - one.image_id, boxes=box[:0], labels=np.zeros(0, int),
                      difficult=np.zeros(0, bool), crowd=np.zeros(0, bool))  # fmt: skip
    hit = Detections(box, np.ones(1, np.float32), np.zeros(1, int), CLASSES)
    miss = Detections(box[:0], np.ones(0, np.float32), np.zeros(0, int), CLASSES)
    result = accuracy([hit, miss], replace(data, samples=(one, nothing)))
    assert result["AP"] == pytest.approx(1)
    assert set(result["AP_replicates"]) == {None, 1}
    assert result["AP_interval"] == [1, 1]


def test_nothing_found_is_zero_with_certainty() -> None:
    found, data = scene(6, photos=30)
    nothing = [each.filter(2.0) for each in found]
    result = accuracy(nothing, data)
    assert result["AP"] == 0
    assert result["AP_interval"] == [0, 0]


def test_another_data_set_is_refused_by_what_is_in_it_not_by_its_name() -> None:
    found, data = scene(7, photos=8)
    moved = replace(data.samples[0], width=601)
    other = replace(data, samples=(moved, *data.samples[1:]))
    renamed = replace(data, name="elsewhere")
    assert data_sha256(other) != data_sha256(data) == data_sha256(renamed)
    ours = accuracy(found, data)
    with pytest.raises(BadInput, match="two data sets"):
        ap_difference(ours, accuracy(found, other))
    assert ap_difference(ours, accuracy(found, renamed)).value == 0


def test_a_data_set_without_labels_is_refused() -> None:
    _, data = scene(8, photos=4)
    require_objects(data)
    ignored = tuple(
        replace(each, difficult=np.ones(len(each.labels), bool)) for each in data.samples
    )
    with pytest.raises(BadInput, match="no object is labelled in 4 photos"):
        require_objects(replace(data, samples=ignored))
    with pytest.raises(BadInput, match="no object is labelled in 0 photos"):
        require_objects(replace(data, samples=()))
