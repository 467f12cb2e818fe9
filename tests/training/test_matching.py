"""Which box learns which object, against plain loops and by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd import boxes as geometry
from quant.training.matching import Assignment, assign, iou
from tests.training import reference

# Whole numbers on a small grid: many equal overlaps, many of exactly one half.
edge = st.integers(0, 6)
box = st.tuples(edge, edge, st.integers(0, 4), st.integers(0, 4)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
an_object = st.tuples(box, st.integers(0, 2), st.booleans())


def batch(
    pictures: Sequence[Sequence[tuple[Sequence[float], int, bool]]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Objects (corners, label, ignored) of each picture, padded: boxes, labels, ignored."""
    most = max(map(len, pictures))
    objects = torch.zeros(len(pictures), most, 4, dtype=torch.float64)
    labels = torch.full((len(pictures), most), -1)
    ignored = torch.zeros(len(pictures), most, dtype=torch.bool)
    for b, picture in enumerate(pictures):
        for m, (corners, label, left_out) in enumerate(picture):
            objects[b, m] = torch.tensor(corners)
            labels[b, m], ignored[b, m] = label, left_out
    return objects, labels, ignored


@given(
    boxes=st.lists(box, min_size=1, max_size=8),
    pictures=st.lists(st.lists(an_object, max_size=5), min_size=1, max_size=3),
    best_too=st.booleans(),
    per_picture=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_assignment_is_that_of_plain_loops(
    boxes: list[Sequence[float]],
    pictures: list[list[tuple[Sequence[float], int, bool]]],
    best_too: bool,
    per_picture: bool,
) -> None:
    shared = torch.tensor(boxes, dtype=torch.float64)
    of_picture = torch.stack([shared.roll(b, 0) for b in range(len(pictures))])
    objects, labels, ignored = batch(pictures)
    found = assign(of_picture if per_picture else shared, objects, labels, ignored, best_too)
    for b in range(len(pictures)):
        classes, targets = reference.assign(
            (of_picture[b] if per_picture else shared).numpy(),
            objects[b].numpy(),
            labels[b].numpy(),
            ignored[b].numpy(),
            best_too,
        )
        np.testing.assert_array_equal(found.classes[b], classes)
        np.testing.assert_array_equal(found.targets[b], targets)


@given(boxes=st.lists(box, min_size=1, max_size=5), objects=st.lists(box, min_size=1, max_size=5))
def test_overlaps_are_the_numpy_ones(
    boxes: list[Sequence[float]], objects: list[Sequence[float]]
) -> None:
    first = torch.tensor(boxes, dtype=torch.float64)
    second = torch.tensor([objects, objects[::-1]], dtype=torch.float64)
    overlap = iou(first, second)
    assert overlap.shape == (2, len(boxes), len(objects))
    for b in range(2):
        np.testing.assert_array_equal(overlap[b], geometry.iou(first.numpy(), second[b].numpy()))
    np.testing.assert_array_equal(iou(torch.stack([first, first]), second), overlap)


def one(
    boxes: list[list[float]],
    *objects: tuple[Sequence[float], int, bool],
    best_too: bool = False,
) -> Assignment:
    return assign(torch.tensor(boxes, dtype=torch.float64), *batch([objects]), best_too)


FULL = [0.0, 0, 10, 10]
HALF = [0.0, 0, 10, 5]
TENTH = [0.0, 0, 10, 1]
AWAY = [50.0, 50, 60, 60]


def test_exactly_half_an_overlap_is_not_enough() -> None:
    assert one([HALF], (FULL, 2, False)).classes.tolist() == [[0]]
    assert one([[0, 0, 10, 5.01]], (FULL, 2, False)).classes.tolist() == [[3]]


def test_the_best_box_is_positive_whatever_its_overlap() -> None:
    boxes = [AWAY, TENTH, HALF]
    assert one(boxes, (FULL, 2, False)).classes.tolist() == [[0, 0, 0]]
    found = one(boxes, (FULL, 2, False), best_too=True)
    assert found.classes.tolist() == [[0, 0, 3]]
    assert found.targets.tolist() == [[[0] * 4, [0] * 4, FULL]]


def test_an_object_without_any_overlap_claims_no_box() -> None:
    assert one([TENTH, HALF], (AWAY, 0, False), best_too=True).classes.tolist() == [[0, 0]]
    empty = ([3.0, 3, 3, 3], 0, False)
    assert one([TENTH, HALF], empty, best_too=True).classes.tolist() == [[0, 0]]


def test_of_equally_good_boxes_the_first_is_the_best() -> None:
    boxes = [TENTH, HALF, HALF]
    assert one(boxes, (FULL, 1, False), best_too=True).classes.tolist() == [[0, 2, 0]]


def test_a_contested_best_box_goes_to_the_larger_overlap() -> None:
    nearer, farther = ([0.0, 0, 10, 4], 0, False), ([0.0, 0, 10, 9], 1, False)
    for objects in ([nearer, farther], [farther, nearer]):
        assert one([HALF, AWAY], *objects, best_too=True).classes.tolist() == [[1, 0]]


def test_of_equal_claims_the_first_object_wins() -> None:
    for first in (0, 1):
        objects = [(FULL, first, False), (FULL, 1 - first, False)]
        assert one([HALF], *objects, best_too=True).classes.tolist() == [[first + 1]]


def test_a_claim_overrules_a_larger_overlap_with_another_object() -> None:
    # The lower object's own best box is the second; the first box is all the upper one has.
    lower, upper = ([0.0, 0, 10, 8], 0, False), ([0.0, 6, 10, 18], 1, False)
    boxes = [[0.0, 0, 10, 9], [0.0, 0, 10, 8]]
    assert one(boxes, lower, upper).classes.tolist() == [[1, 1]]
    assert one(boxes, lower, upper, best_too=True).classes.tolist() == [[2, 1]]


@pytest.mark.parametrize("best_too", [False, True])
def test_a_box_on_an_ignored_object_takes_no_part(best_too: bool) -> None:
    found = one([FULL, HALF, AWAY], (FULL, 2, True), best_too=best_too)
    assert found.classes.tolist() == [[-1, 0, 0]]
    assert not found.targets.any()


def test_a_wanted_object_outweighs_an_ignored_one() -> None:
    found = one([FULL], (FULL, 0, True), ([0.0, 0, 10, 6], 1, False))
    assert found.classes.tolist() == [[2]]


def test_padding_is_no_object_wherever_it_lies() -> None:
    objects = torch.tensor([[FULL, FULL]], dtype=torch.float64)
    labels, ignored = torch.tensor([[-1, -1]]), torch.tensor([[False, True]])
    boxes = torch.tensor([FULL, AWAY], dtype=torch.float64)
    for best_too in (False, True):
        found = assign(boxes, objects, labels, ignored, best_too)
        assert found.classes.tolist() == [[0, 0]]
        assert not found.targets.any()


def test_pictures_without_objects_are_background() -> None:
    boxes = torch.rand(7, 4)
    found = assign(
        boxes,
        torch.zeros(2, 0, 4),
        torch.zeros(2, 0, dtype=torch.int64),
        torch.zeros(2, 0, dtype=torch.bool),
        best_too=True,
    )
    assert found.classes.shape == (2, 7)
    assert found.classes.dtype == torch.int64
    assert not found.classes.any()
    assert found.targets.shape == (2, 7, 4)
    assert not found.targets.any()
