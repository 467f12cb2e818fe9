from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.detections import Detections
from edge_passd.drawing import class_colour
from edge_passd.errors import BadInput

CLASSES = ("dog", "cat", "a rather long name for a class")


def found(*rows: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    return Detections(boxes, scores, np.array([row[2] for row in rows], np.int64), CLASSES)


PAIR = found(((10, 20, 110.26, 220), 0.91234, 1), ((0, 0, 5, 5), 0.25, 0))


def test_plain_numbers_for_json() -> None:
    assert json.loads(json.dumps(PAIR.to_dict())) == [
        {"label": "cat", "score": 0.9123, "box": [10.0, 20.0, 110.3, 220.0]},
        {"label": "dog", "score": 0.25, "box": [0.0, 0.0, 5.0, 5.0]},
    ]


def test_coco_boxes_are_corner_and_size_and_categories_count_from_one() -> None:
    first, second = PAIR.to_coco(image_id=7)
    assert first["bbox"] == pytest.approx([10, 20, 100.26, 200])
    assert (first["image_id"], first["category_id"]) == (7, 2)
    assert second == {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.25}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ("cat", "dog")),
        ({"conf": 0.25}, ("cat", "dog")),
        ({"conf": 0.26}, ("cat",)),
        ({"classes": ["dog"]}, ("dog",)),
        ({"classes": ["dog"], "conf": 0.5}, ()),
        ({"classes": []}, ()),
    ],
)
def test_filter(options: dict, names: tuple[str, ...]) -> None:
    left = PAIR.filter(**options)
    assert left.names == names
    assert len(left) == len(names)
    assert left.classes == CLASSES


def test_an_unknown_class_lists_the_known() -> None:
    with pytest.raises(BadInput, match="'horse'; it knows dog, cat"):
        PAIR.filter(classes=["dog", "horse"])


def test_arrays_that_disagree_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="disagree"):
        Detections(np.zeros((2, 4)), np.zeros(1), np.zeros(1, int), CLASSES)


def test_drawing_marks_the_box_and_leaves_the_photo_alone(cat: np.ndarray) -> None:
    before = cat.copy()
    picture = found(((100, 80, 300, 250), 0.9, 1)).draw(cat)
    np.testing.assert_array_equal(cat, before)
    assert (picture.shape, picture.dtype) == (cat.shape, np.uint8)
    for x, y in ((100, 160), (300, 160), (200, 250), (101, 79)):  # three sides and the plate
        assert tuple(picture[y, x].tolist()) == class_colour(1)
    changed = (picture != cat).any(axis=2)
    assert not changed[100:240, 110:290].any()
    assert not changed[:, :90].any()


def test_nothing_found_draws_nothing(cat: np.ndarray) -> None:
    np.testing.assert_array_equal(found().draw(cat), cat)


def test_colours_of_the_first_twenty_classes_differ() -> None:
    colours = np.array([class_colour(label) for label in range(20)], float)
    distance = np.abs(colours[:, None] - colours[None]).sum(axis=2)
    assert distance[~np.eye(20, dtype=bool)].min() > 40


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 700), st.integers(1, 500)),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.integers(0, 2),
)
def test_any_box_on_any_size_of_photo_can_be_drawn(
    size: tuple[int, int], share: list[float], label: int
) -> None:
    width, height = size
    x1, x2 = sorted(width * s for s in share[:2])
    y1, y2 = sorted(height * s for s in share[2:])
    picture = found(((x1, y1, x2, y2), 0.5, label)).draw(np.zeros((height, width, 3), np.uint8))
    assert picture.shape == (height, width, 3)
    assert picture.any()


def plate_size(corner: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the label's plate of a tiny box in a dark picture."""
    x, y = corner
    picture = found(((x, y, x + 4, y + 4), 0.5, 2)).draw(np.full((height, width, 3), 7, np.uint8))
    widths = (picture != 7).any(axis=2).sum(axis=1)
    return int((widths == widths.max()).sum()), int(widths.max())


@pytest.mark.parametrize("corner", [(0, 0), (150, 0), (295, 0), (0, 195), (295, 195), (295, 90)])
def test_the_label_is_whole_at_every_border(corner: tuple[int, int]) -> None:
    free = plate_size((100, 100), 400, 300)
    assert free[1] > 100
    assert plate_size(corner, 300, 200) == free


def test_grey_images_can_be_drawn_on(cat: np.ndarray) -> None:
    grey = cv2.cvtColor(cat, cv2.COLOR_BGR2GRAY)
    assert PAIR.draw(grey).shape == cat.shape
