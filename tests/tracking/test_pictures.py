"""What the tracks, lines and zones look like on a picture and in JSON."""

from __future__ import annotations

import numpy as np
import pytest

from edge_passd.detections import Detections
from edge_passd.tracking import Counters, parse_line, parse_zone

CLASSES = ("dog", "cat")


def tracked(ids: list[int] | None = None) -> Detections:
    boxes = np.array([[20, 60, 120, 160], [200, 80, 260, 180]], np.float32)
    scores, labels = np.array([0.9, 0.5], np.float32), np.array([1, 0], np.int64)
    return Detections(boxes, scores, labels, CLASSES, None if ids is None else np.array(ids))


def test_ids_stand_in_json_only_when_there_are_some() -> None:
    assert [each["id"] for each in tracked([3, 8]).to_dict()] == [3, 8]
    assert [set(each) for each in tracked().to_dict()] == [{"label", "score", "box"}] * 2


def test_filter_keeps_the_ids() -> None:
    found = tracked([3, 8]).filter(classes=["dog"])
    assert found.ids is not None
    assert found.ids.tolist() == [8]
    assert tracked().filter(0.6).ids is None


def test_ids_of_another_count() -> None:
    with pytest.raises(ValueError, match="ids of shape"):
        tracked([3])


def test_a_track_is_drawn_with_its_number(photo: np.ndarray) -> None:
    plain, first, second = (tracked(ids).draw(photo) for ids in (None, [3, 8], [4, 8]))
    assert (first != plain).any()
    changed = np.flatnonzero((first != second).any(axis=(1, 2)))
    assert len(changed) > 0
    assert changed.max() < 70  # only the label of the first box says something else


def test_lines_and_zones_are_drawn_with_what_they_counted(photo: np.ndarray) -> None:
    height, width = photo.shape[:2]
    counters = Counters(
        [parse_line("door:0.1,0.8,0.9,0.8")], [parse_zone("bed:0.5,0.1,0.9,0.1,0.9,0.6,0.5,0.6")]
    )
    nobody = Detections(
        np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), CLASSES, np.zeros(0, np.int64)
    )
    counters.update(nobody, 0, (width, height))
    empty = counters.counts
    before = photo.copy()
    picture = empty.draw(photo)
    np.testing.assert_array_equal(photo, before)
    assert picture.shape == photo.shape
    y, x = round(0.8 * height), round(0.3 * width)
    assert (picture[y - 3 : y + 4, x].max(axis=-1) > 250).any()  # the line
    inside = picture[round(0.4 * height), round(0.7 * width)].astype(int)
    assert (inside > photo[round(0.4 * height), round(0.7 * width)]).all()  # the tint
    np.testing.assert_array_equal(picture[:5, :50], photo[:5, :50])

    counters.update(tracked([3, 8]), 0.1, (width, height))
    assert counters.counts.zones[0][2] == 1
    assert empty.zones[0][2] == 0  # what belongs to a frame stays as it was
    assert (counters.counts.draw(photo) != picture).any()
