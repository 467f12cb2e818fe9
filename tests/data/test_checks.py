"""Checks before training: what stops it, what is repaired, what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet, Sample
from quant.data.checks import check, check_classes
from quant.data.photos import PhotoCache
from quant.data.reader import read_split

MakeSample = Callable[..., Sample]
Save = Callable[..., list[Path]]


def refused(data: DataSet) -> str:
    with pytest.raises(BadInput) as caught:
        check(data, PhotoCache())
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def chelsea(tmp_path: Path, save_photos: Save) -> Path:
    """A photo of 451 x 300 pixels."""
    return save_photos(tmp_path)[0]


def of_one(sample: Sample) -> DataSet:
    return DataSet("train", ("cat", "dog"), (sample,))


def test_good_data_stay_as_they_are(coco_folder: Path) -> None:
    data = read_split(coco_folder, "train")
    cache = PhotoCache()
    checked, report = check(data, cache)
    for before, after in zip(data.samples, checked.samples, strict=True):
        np.testing.assert_array_equal(after.boxes, before.boxes)
        np.testing.assert_array_equal(after.ignored, before.ignored)
    assert (report.photos, report.photos_without_boxes, report.boxes) == (3, 1, 3)
    assert (report.difficult, report.crowd) == (1, 1)
    assert (report.clipped, report.outside, report.not_finite) == (0, 0, 0)
    assert report.per_class == {"person": 2, "cat": 1}
    assert len(cache) == 3  # the photos need not be decoded again


NAN = float("nan")


@pytest.mark.parametrize(
    ("box", "becomes", "counted"),
    [
        ([10, 20, 30, 40], [10, 20, 30, 40], None),
        ([0, 0, 451, 300], [0, 0, 451, 300], None),
        ([0, 0, 451.2, 300], [0, 0, 451, 300], None),  # rounding, not worth a word
        ([-9, 20, 30, 40], [0, 20, 30, 40], "clipped"),
        ([400, 250, 1e6, 1e6], [400, 250, 451, 300], "clipped"),
        ([451, 0, 500, 300], None, "outside"),
        ([-50, -50, -1, -1], None, "outside"),
        ([10, 20, 10, 40], None, "outside"),
        ([30, 40, 10, 20], None, "outside"),
        ([NAN, 20, 30, 40], None, "not_finite"),
        ([10, 20, float("inf"), 40], None, "not_finite"),
    ],
)
def test_boxes_are_repaired_and_counted(
    chelsea: Path,
    make_sample: MakeSample,
    box: list[float],
    becomes: list[float] | None,
    counted: str | None,
) -> None:
    good = [1.0, 2.0, 3.0, 4.0]
    sample = make_sample(
        chelsea,
        [box, good],
        labels=np.array([0, 1]),
        difficult=np.array([True, False]),
        crowd=np.array([False, False]),
    )
    checked, report = check(of_one(sample), PhotoCache())
    (kept,) = checked.samples
    if becomes is None:
        np.testing.assert_array_equal(kept.boxes, [good])
        assert (kept.labels.tolist(), kept.difficult.tolist()) == ([1], [False])
    else:
        np.testing.assert_array_equal(kept.boxes, [becomes, good])
        assert (kept.labels.tolist(), kept.difficult.tolist()) == ([0, 1], [True, False])
    counts = {name: getattr(report, name) for name in ("clipped", "outside", "not_finite")}
    assert counts == {name: int(name == counted) for name in counts}
    assert report.boxes == len(kept.boxes)


def test_report_in_words(chelsea: Path, make_sample: MakeSample) -> None:
    boxes = [[1, 2, 3, 4], [-9, 0, 9, 9], [900, 900, 950, 950], [NAN, 0, 1, 1]]
    _, report = check(of_one(make_sample(chelsea, boxes)), PhotoCache())
    text = str(report)
    for words in ("1 photos", "2 boxes", "cat 2", "dog 0", "1 clipped", "1 dropped (outside"):
        assert words in text
    assert "1 dropped (not finite)" in text


def test_unreadable_photos_are_listed_and_counted(
    chelsea: Path, tmp_path: Path, make_sample: MakeSample
) -> None:
    good = make_sample(chelsea, [[1, 2, 3, 4]])
    ghosts = [replace(good, path=tmp_path / f"ghost{i:02}.jpg") for i in range(13)]
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    message = refused(DataSet("val", ("cat",), (good, replace(good, path=empty), *ghosts)))
    assert "val: 14 of 15 photos" in message
    assert "empty.jpg is empty" in message
    assert "ghost08.jpg" in message
    assert "ghost09.jpg" not in message
    assert "and 4 more" in message


def test_photos_of_another_size_than_annotated(chelsea: Path, make_sample: MakeSample) -> None:
    turned = make_sample(chelsea, [[1, 2, 3, 4]], width=300, height=451)
    message = refused(of_one(turned))
    for words in ("1 of 1", "chelsea.jpg", "451x300", "300x451"):
        assert words in message


def test_nothing_to_learn_from(chelsea: Path, make_sample: MakeSample) -> None:
    outside = make_sample(chelsea, [[900, 900, 950, 950]])
    ignored = make_sample(chelsea, [[1, 2, 3, 4]], difficult=np.array([True]))
    for sample, why in (
        (make_sample(chelsea, []), "none of 1 photos"),
        (outside, "1 boxes lie outside"),
        (ignored, "1 are difficult or crowd"),
    ):
        assert why in refused(of_one(sample))
    assert "no photos" in refused(DataSet("val", ("cat",), ()))


@pytest.mark.parametrize("other", [("cat",), ("dog", "cat"), ("cat", "dog", "cow")])
def test_classes_that_differ(other: tuple[str, ...]) -> None:
    train, val = DataSet("train", ("cat", "dog"), ()), DataSet("val", other, ())
    with pytest.raises(BadInput) as caught:
        check_classes(train, val)
    assert "train has cat, dog" in str(caught.value)
    assert f"val has {', '.join(other)}" in str(caught.value)


def test_classes_that_agree() -> None:
    check_classes(DataSet("train", ("cat",), ()), DataSet("val", ("cat",), ()))
