from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.detections import Detections
from edge_passd.tracking import Tracker, TrackerOptions
from edge_passd.tracking.clock import LOST_FRAMES
from tests.tracking.sequences import CLASSES, Difficulty, detections, film

FPS = 10
DOG, CAT = 0, 1


def box(x: float, y: float = 100, width: float = 60, height: float = 80) -> tuple[float, ...]:
    return x, y, x + width, y + height


def one(x: float, score: float = 0.9, label: int = DOG) -> Detections:
    return detections([(box(x), score, label)])


NOTHING = detections([])


def ids(found: Detections) -> list[int]:
    assert found.ids is not None
    assert found.ids.dtype == np.int64
    return found.ids.tolist()


def track(frames: list[Detections], options: TrackerOptions | None = None) -> list[Detections]:
    tracker = Tracker(options)
    return [tracker.update(frame, index / FPS) for index, frame in enumerate(frames)]


def test_nothing_in_nothing_out() -> None:
    assert [ids(found) for found in track([NOTHING] * 3)] == [[], [], []]


def test_one_that_moves_keeps_its_id() -> None:
    assert [ids(found) for found in track([one(20.0 * i) for i in range(25)])] == [[1]] * 25


def test_boxes_and_scores_come_out_as_they_went_in() -> None:
    frames = [detections([(box(20.0 * i), 0.9, DOG), (box(300), 0.8, CAT)]) for i in range(5)]
    for given_, found in zip(frames, track(frames), strict=True):
        np.testing.assert_array_equal(found.boxes, given_.boxes)
        np.testing.assert_array_equal(found.scores, given_.scores)
        assert found.names == ("dog", "cat")


def test_two_that_cross_keep_their_ids() -> None:
    frames = [
        detections([(box(15.0 * i, 100), 0.9, DOG), (box(450 - 15.0 * i, 120), 0.8, DOG)])
        for i in range(31)
    ]
    assert [ids(found) for found in track(frames)] == [[1, 2]] * 31


@pytest.mark.parametrize("away", [1, 5, 15])
def test_out_of_sight_and_back(away: int) -> None:
    """It goes on behind the wall as it went before."""
    frames = [one(20.0 * i) if not 10 <= i < 10 + away else NOTHING for i in range(40)]
    found = track(frames)
    assert {i for each in found for i in ids(each)} == {1}
    assert [len(each) for each in found] == [len(each) for each in frames]


def test_out_of_sight_for_too_long_is_another_one() -> None:
    options = TrackerOptions(lost_s=1)
    still = [one(100)] * 3
    assert ids(track([*still, *[NOTHING] * 9, one(100)], options)[-1]) == [1]
    assert {i for each in track([*still, *[NOTHING] * 11, *still], options) for i in ids(each)} == {
        1,
        2,
    }


def test_time_counts_and_not_frames() -> None:
    """A live source drops frames: 60 px in 0.3 s is the same walk as 20 px in 0.1 s."""
    tracker = Tracker()
    kept = [i for i in range(40) if i < 8 or i % 3 == 0]
    found = [tracker.update(one(20.0 * i), i / FPS) for i in kept]
    assert {i for each in found for i in ids(each)} == {1}
    tracker = Tracker()
    for i in range(8):
        tracker.update(one(20.0 * i), i / FPS)
    assert ids(tracker.update(one(20.0 * 18), 1.8)) == [1]  # ten frames away: no overlap at all


@pytest.mark.parametrize(("score", "shown"), [(0.2, True), (0.05, False)])
def test_a_weak_detection_goes_on_with_a_track(score: float, shown: bool) -> None:
    found = track([one(20), one(22), one(24, score), one(26)])
    assert [ids(each) for each in found] == [[1], [1], [1] if shown else [], [1]]


def test_a_weak_detection_starts_nothing_and_brings_nothing_back() -> None:
    assert [len(each) for each in track([one(20, 0.39)] * 4)] == [0] * 4
    found = track([one(20), one(20), NOTHING, one(20, 0.3), one(20)])
    assert [ids(each) for each in found] == [[1], [1], [], [], [1]]


def test_a_flicker_gets_no_id() -> None:
    frames = [NOTHING, one(300), NOTHING, one(300), one(300)]
    assert [ids(each) for each in track(frames)] == [[], [], [], [], [1]]
    assert [ids(each) for each in track(frames, TrackerOptions(hits=1))][:2] == [[], [1]]


def test_a_newcomer_gets_a_new_id() -> None:
    two = detections([(box(20), 0.9, DOG), (box(300), 0.8, DOG)])
    assert [ids(each) for each in track([one(20), one(20), two, two])] == [[1], [1], [1], [1, 2]]


def test_one_animal_under_two_names_is_one_track() -> None:
    both = detections([(box(20), 0.9, DOG), (box(22), 0.6, CAT)])
    other = detections([(box(20), 0.55, CAT), (box(20), 0.5, DOG)])
    found = track([both, both, other, both])
    assert [ids(each) for each in found] == [[1]] * 4


def test_the_class_of_a_track_is_what_most_scores_say() -> None:
    frames = [one(20), one(20), one(20, 0.6, CAT), one(20), one(20, 0.9, CAT)]
    assert [each.names for each in track(frames)] == [("dog",)] * 5
    assert track([*frames, *[one(20, 0.9, CAT)] * 4])[-1].names == ("cat",)


def test_where_two_meet_each_keeps_its_class() -> None:
    frames = [
        detections([(box(12.0 * i), 0.9, DOG), (box(240 - 12.0 * i), 0.8, CAT)]) for i in range(21)
    ]
    for each in track(frames):
        assert dict(zip(each.names, ids(each), strict=True)) == {"dog": 1, "cat": 2}


def test_who_is_of_the_right_class_goes_first() -> None:
    """Each box jumps to where the other one was."""
    before = detections([(box(100), 0.9, DOG), (box(112), 0.8, CAT)])
    after = detections([(box(112), 0.9, DOG), (box(100), 0.8, CAT)])
    found = track([before, before, after])[-1]
    assert dict(zip(found.names, ids(found), strict=True)) == {"dog": 1, "cat": 2}


def test_photos_have_no_time_and_do_not_fill_the_memory() -> None:
    tracker = Tracker()
    for index in range(3):
        tracker.update(one(index), 0.0)
    for _ in range(LOST_FRAMES + 1):
        tracker.update(NOTHING, 0.0)
    tracker.update(one(3), 0.0)
    assert ids(tracker.update(one(3), 0.0)) == [2]


def test_a_film_that_starts_again_goes_on() -> None:
    tracker = Tracker()
    times = [*(i / FPS for i in range(9)), *(i / FPS for i in range(5))]
    found = [tracker.update(one(20.0 * i), time_s) for i, time_s in enumerate(times)]
    assert [ids(each) for each in found] == [[1]] * 14


def test_garbage_does_not_fill_the_memory() -> None:
    """Boxes that are somewhere else in every photo, for as long as nothing is forgotten."""
    rng = np.random.default_rng(0)
    tracker, sizes = Tracker(TrackerOptions(hits=1)), []
    for _ in range(30):
        places = rng.uniform(0, 5000, (100, 2))
        tracker.update(detections([(box(x, y), 0.9, DOG) for x, y in places.tolist()]), 0.0)
        sizes.append(len(pickle.dumps(tracker)))
    assert sizes[-1] < 1.1 * sizes[14]


def test_is_deterministic_whatever_the_film() -> None:
    steps = film(8, 4, Difficulty(missed=0.2, weak=0.2, false=0.5), np.random.default_rng(1))
    runs = []
    for _ in range(2):
        tracker = Tracker()
        runs.append([ids(tracker.update(step.seen, step.time_s)) for step in steps])
    assert runs[0] == runs[1]
    assert any(runs[0])


def test_two_hundred_at_once() -> None:
    grid = [(65.0 * (i % 20), 90.0 * (i // 20)) for i in range(200)]
    frames = [
        detections([(box(x + 5 * t, y), 0.9 - i / 1000, DOG) for i, (x, y) in enumerate(grid)])
        for t in range(6)
    ]
    assert [ids(each) for each in track(frames)] == [list(range(1, 201))] * 6


SCORES = st.floats(0.015625, 1, width=32)
CORNERS = st.floats(-50, 700, width=32)
BOXES = st.tuples(CORNERS, CORNERS, CORNERS, CORNERS)
FRAMES = st.lists(
    st.tuples(
        st.lists(st.tuples(BOXES, SCORES, st.integers(0, len(CLASSES) - 1)), max_size=8),
        st.floats(-5, 100),
    ),
    max_size=12,
)


@settings(max_examples=50)
@given(frames=FRAMES)
def test_anything_a_detector_might_say(frames: list) -> None:
    tracker = Tracker()
    known: set[int] = set()
    for rows, time_s in frames:
        seen = detections(rows)
        found = tracker.update(seen, time_s)
        assert len(set(ids(found))) == len(found)
        assert (found.scores >= tracker.options.low).all()
        assert (np.diff(found.scores) <= 0).all()
        given_boxes = {tuple(each) for each in seen.boxes.tolist()}
        assert {tuple(each) for each in found.boxes.tolist()} <= given_boxes
        new = sorted(set(ids(found)) - known)
        assert new == list(range(len(known) + 1, len(known) + 1 + len(new)))
        known |= set(new)


@pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
def test_a_time_that_is_none(time_s: float) -> None:
    with pytest.raises(ValueError, match="time of a frame"):
        Tracker().update(NOTHING, time_s)


def test_a_box_that_is_none() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Tracker().update(one(float("nan")), 0)


@pytest.mark.parametrize(
    "wrong", [{"conf": 1.1}, {"low": -0.1}, {"iou": float("nan")}, {"hits": 0}, {"lost_s": -1}]
)
def test_options_out_of_range(wrong: dict) -> None:
    with pytest.raises(ValueError, match="out of range"):
        TrackerOptions(**wrong)
