"""From a frame to a result, with a detector that sees a dog walk from left to right."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.perception import Perception
from edge_passd.sinks.sink import Result
from edge_passd.sources.source import Frame

STEPS = 12


class Walk:
    """A dog that goes from x = 10 to 120 of a 160 x 90 picture, and a cat that is hardly seen."""

    classes = ("dog", "cat")

    def __init__(self, dog_score: float = 0.9) -> None:
        self._at, self._dog_score = 0, dog_score

    def detect(self, image: np.ndarray) -> Detections:
        x = 10 + 10 * self._at
        self._at += 1
        return Detections(
            np.array([[x, 30, x + 30, 70], [0, 0, 20, 20]], np.float32),
            np.array([self._dog_score, 0.2], np.float32),
            np.array([0, 1]),
            self.classes,
        )


def walk(captured: bool = False, **options: Any) -> list[Result]:
    perception = Perception(Walk(), **options)  # type: ignore[arg-type]
    image = np.zeros((90, 160, 3), np.uint8)
    return [
        perception(Frame(image, "yard", i, i / 10, time.monotonic() - 0.5 if captured else None))
        for i in range(STEPS)
    ]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"conf": 0.4}, ("dog",)),
        ({"conf": 0.1}, ("dog", "cat")),
        ({"conf": 0.1, "classes": ("cat",)}, ("cat",)),
        ({"conf": 0.95}, ()),
        ({"conf": 0.4, "track": True, "classes": ("cat",)}, ()),
    ],
)
def test_what_was_asked_for_is_kept(options: dict, names: tuple[str, ...]) -> None:
    assert {result.detections.names for result in walk(**options)} == {names}


def test_latency_counts_from_the_arrival_and_inference_from_the_start() -> None:
    for result in walk(captured=True):
        assert result.latency_s is not None
        assert 0.5 <= result.latency_s < 5
        assert 0 <= result.infer_s < 0.4
    assert {result.latency_s for result in walk()} == {None}


def test_who_is_tracked_keeps_an_id_and_is_counted_once() -> None:
    results = walk(
        conf=0.4, track=True, lines=("door:0.5,0,0.5,1",), zones=("all:0,0,1,0,1,1,0,1",)
    )
    ids = {
        int(i) for each in results if each.detections.ids is not None for i in each.detections.ids
    }
    assert len(ids) == 1
    events = [event for result in results for event in result.events]
    assert [event["name"] for event in events if event["type"] == "line"] == ["door"]
    assert [event["event"] for event in events if event["type"] == "zone"] == ["enter"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"classes": ("elk",)}, "knows no class 'elk'"),
        ({"lines": ("door:0.5,0,0.5,1",)}, "give --track too"),
        ({"zones": ("yard:0,0,1,0,1,1",)}, "give --track too"),
        ({"track": True, "lines": ("door",)}, "door"),
        ({"track": True, "zones": ("yard:0,0,1",)}, "yard"),
    ],
)
def test_bad_wishes(options: dict, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        Perception(Walk(), **options)  # type: ignore[arg-type]
