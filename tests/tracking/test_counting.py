from __future__ import annotations

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.tracking import Counters, parse_line, parse_zone

SIZE = (400, 300)
SIDE = 40  # of every box here, so what is clear begins at 4 px
# From the left to the right: `in` is downwards.
DOOR = parse_line("door:100,150,300,150")
MEADOW = parse_zone("meadow:100,100,300,100,300,200,100,200")


def standing(*places: tuple[int, float, float]) -> Detections:
    """Tracked dogs: id, and x, y of where each stands."""
    boxes = [(x - SIDE / 2, y - SIDE, x + SIDE / 2, y) for _, x, y in places]
    count = len(places)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.zeros(count, np.int64),
        ("dog",),
        np.array([place[0] for place in places], np.int64),
    )


def walk(counters: Counters, *places: tuple[float, float], fps: float = 10) -> list[dict]:
    """The events of one dog, id 7, that is at these places in frames in a row."""
    return [
        event
        for index, place in enumerate(places)
        for event in counters.update(standing((7, *place)), index / fps, SIZE)
    ]


def directions(events: list[dict]) -> list[str]:
    return [event["direction"] for event in events]


DOWN = [(200.0, y) for y in range(100, 201, 10)]


def test_a_crossing_is_counted_once() -> None:
    assert walk(Counters([DOOR]), *DOWN) == [
        {
            "type": "line",
            "name": "door",
            "id": 7,
            "label": "dog",
            "direction": "in",
            "counts": {"in": 1, "out": 0},
        }
    ]


def test_there_and_back() -> None:
    events = walk(Counters([DOOR]), *DOWN, *DOWN[::-1], *DOWN)
    assert directions(events) == ["in", "out", "in"]
    assert events[-1]["counts"] == {"in": 2, "out": 1}


@pytest.mark.parametrize(
    ("line", "way", "direction"),
    [
        ("100,150,300,150", [(200, 100), (200, 200)], "in"),
        ("300,150,100,150", [(200, 100), (200, 200)], "out"),
        ("200,100,200,200", [(150, 150), (250, 150)], "out"),
        ("200,200,200,100", [(150, 150), (250, 150)], "in"),
        ("0.25,0.5,0.75,0.5", [(200, 100), (200, 200)], "in"),
    ],
)
def test_in_is_from_the_left_to_the_right(line: str, way: list, direction: str) -> None:
    assert directions(walk(Counters([parse_line(f"door:{line}")]), *way)) == [direction]


@given(tremble=st.lists(st.floats(-3.5, 3.5), min_size=1, max_size=30))
def test_to_tremble_on_the_line_is_not_to_cross_it(tremble: list[float]) -> None:
    on_line = [(200, 150 + y) for y in tremble]
    assert walk(Counters([DOOR]), (200, 120), *on_line, (200, 120)) == []
    assert directions(walk(Counters([DOOR]), (200, 120), *on_line, (200, 180))) == ["in"]


def test_one_that_appears_on_the_line_crosses_nothing() -> None:
    assert walk(Counters([DOOR]), (200, 150), (200, 200)) == []


@pytest.mark.parametrize(
    ("x", "counted"), [(100, True), (300, True), (99, False), (301, False), (50, False)]
)
def test_the_line_ends_with_its_ends(x: float, counted: bool) -> None:
    events = walk(Counters([DOOR]), (x, 120), (x, 180))
    assert len(events) == counted


def test_round_the_end_and_back_across() -> None:
    round_it = [(200, 120), (60, 120), (60, 180), (200, 180)]
    assert walk(Counters([DOOR]), *round_it) == []
    assert directions(walk(Counters([DOOR]), *round_it, (200, 120))) == ["out"]


def test_each_id_by_itself() -> None:
    counters = Counters([DOOR])
    first = counters.update(standing((1, 150, 120), (2, 250, 180)), 0, SIZE)
    second = counters.update(standing((2, 250, 120), (1, 150, 180)), 0.1, SIZE)
    assert first == ()
    assert [(event["id"], event["direction"]) for event in second] == [(2, "out"), (1, "in")]
    assert second[-1]["counts"] == {"in": 1, "out": 1}


def test_into_a_zone_and_out_of_it() -> None:
    events = walk(Counters(zones=[MEADOW]), (200, 50), (200, 150), (200, 160), (200, 250))
    assert events == [
        {
            "type": "zone",
            "name": "meadow",
            "id": 7,
            "label": "dog",
            "event": event,
            "inside": inside,
        }
        for event, inside in (("enter", 1), ("leave", 0))
    ]


def test_one_that_appears_inside_enters() -> None:
    assert [event["event"] for event in walk(Counters(zones=[MEADOW]), (200, 150))] == ["enter"]


@pytest.mark.parametrize("place", [(100, 100), (200, 100), (300, 150), (200, 200)])
def test_the_edge_belongs_to_the_zone(place: tuple[float, float]) -> None:
    assert len(walk(Counters(zones=[MEADOW]), place)) == 1


@given(tremble=st.lists(st.floats(-3.5, 3.5), max_size=30))
def test_to_tremble_on_the_edge_is_to_enter_once(tremble: list[float]) -> None:
    places = [(200, 90), (200, 150), *[(200, 100 + y) for y in tremble], (200, 90)]
    events = walk(Counters(zones=[MEADOW]), *places)
    assert [event["event"] for event in events] == ["enter", "leave"]


def test_who_is_lost_inside_has_left() -> None:
    counters = Counters(zones=[MEADOW], lost_s=1)
    counters.update(standing((1, 200, 150), (2, 210, 150)), 0, SIZE)
    assert counters.update(standing((2, 210, 150)), 0.9, SIZE) == ()
    (event,) = counters.update(standing((2, 210, 150)), 1.1, SIZE)
    assert (event["id"], event["event"], event["inside"]) == (1, "leave", 1)


def test_who_comes_back_in_time_never_left() -> None:
    counters = Counters([DOOR], [MEADOW], lost_s=1)
    counters.update(standing((1, 200, 120)), 0, SIZE)
    assert counters.update(standing(), 0.9, SIZE) == ()
    (event,) = counters.update(standing((1, 200, 180)), 1.0, SIZE)
    assert (event["type"], event["direction"]) == ("line", "in")


def test_a_hollow_zone() -> None:
    """Between the arms of a U is outside."""
    u = parse_zone("u:100,100,150,100,150,180,250,180,250,100,300,100,300,250,100,250")
    assert walk(Counters(zones=[u]), (200, 120)) == []
    assert len(walk(Counters(zones=[u]), (200, 200))) == 1


def test_another_size_moves_lines_and_zones_along() -> None:
    counters = Counters([DOOR], [MEADOW])
    counters.update(standing(), 0, SIZE)
    counters.update(standing(), 0.1, (800, 600))
    assert counters.counts.lines[0][1].tolist() == [[200, 300], [600, 300]]
    counters.update(standing((7, 400, 240)), 0.2, (800, 600))
    events = counters.update(standing((7, 400, 360)), 0.3, (800, 600))
    assert directions(list(events)) == ["in"]


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ({"lines": [parse_line("far:10,10,700,10")]}, "line 'far': the point 700,10 is outside"),
        ({"zones": [parse_zone("far:10,10,50,10,50,301")]}, "zone 'far': the point 50,301"),
    ],
)
def test_outside_the_picture(region: dict, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        Counters(**region).update(standing(), 0, SIZE)


def test_without_ids_nothing_is_counted() -> None:
    plain = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), ("dog",))
    with pytest.raises(ValueError, match="without ids"):
        Counters([DOOR]).update(plain, 0, SIZE)


PLACES = st.tuples(st.floats(0, 400), st.floats(0, 300))


@given(places=st.lists(PLACES, max_size=25))
def test_the_counts_add_up(places: list[tuple[float, float]]) -> None:
    """Wherever somebody walks: in and out take turns at an endless line, enter and leave at a zone,
    and what the counters show is what the events said."""
    endless = parse_line("door:0,0.5,1,0.5")
    counters = Counters([endless], [MEADOW])
    events = walk(counters, *places)
    json.dumps(events, allow_nan=False)
    crossings = [event for event in events if event["type"] == "line"]
    visits = [event for event in events if event["type"] == "zone"]
    assert all(a["direction"] != b["direction"] for a, b in pairwise(crossings))
    assert [event["event"] for event in visits] == ["enter", "leave"] * (len(visits) // 2) + [
        "enter"
    ] * (len(visits) % 2)
    counts = counters.counts
    if places:
        assert counts.lines[0][2:] == (
            directions(crossings).count("in"),
            directions(crossings).count("out"),
        )
        assert counts.zones[0][2] == len(visits) % 2


def test_the_memory_does_not_grow_with_the_ids() -> None:
    counters = Counters([DOOR], [MEADOW])
    sizes = []
    for id_ in range(1000, 1400):
        counters.update(standing((id_, 200, 120)), 3.0 * id_, SIZE)
        sizes.append(len(pickle.dumps(counters)))
    assert counters.counts.zones[0][2] == 1
    assert max(sizes) < min(sizes) + 100  # an id and its time take more than 20 bytes
