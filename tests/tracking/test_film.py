"""The whole way on a film: the shipped model, a cat that walks, the tracker, a line and a zone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from edge_passd import Detector
from edge_passd.detections import Detections
from edge_passd.tracking import Counters, Tracker, parse_line, parse_zone

WIDTH, HEIGHT = 480, 320
FPS = 8


def frames(photo: np.ndarray, count: int) -> list[np.ndarray]:
    """The cat slides from the left to the right over a rocket's launch pad."""
    background = cv2.resize(np.ascontiguousarray(data.rocket()[..., ::-1]), (WIDTH, HEIGHT))
    cat = cv2.resize(photo, (220, 146))
    film = []
    for left in np.linspace(0, WIDTH - 220, count).astype(int):
        picture = background.copy()
        picture[120:266, left : left + 220] = cat
        film.append(picture)
    return film


@pytest.fixture(scope="module")
def seen(photo: np.ndarray) -> list[Detections]:
    """What the detector makes of each frame."""
    detector = Detector(threads=1)
    return [detector.detect(frame) for frame in frames(photo, 16)]


def test_one_cat_is_one_track(seen: list[Detections]) -> None:
    tracker, counters = (
        Tracker(),
        Counters([parse_line("middle:0.5,1,0.5,0")], [parse_zone("right:0.6,0,1,0,1,1,0.6,1")]),
    )
    tracks, events = [], []
    for index, found in enumerate(seen):
        tracked = tracker.update(found, index / FPS)
        tracks.append(tracked)
        events += counters.update(tracked, index / FPS, (WIDTH, HEIGHT))
    cats = [each for tracked in tracks for each in tracked.to_dict() if each["label"] == "cat"]
    assert len(cats) >= 14
    assert {each["id"] for each in cats} == {cats[0]["id"]}
    mine = [event for event in events if event["id"] == cats[0]["id"]]
    assert [event["type"] for event in mine] == ["line", "zone"]
    assert (mine[0]["direction"], mine[1]["event"]) == ("in", "enter")


def test_through_frames_without_detections(seen: list[Detections]) -> None:
    tracker = Tracker()
    nothing = seen[0].filter(conf=1.1)
    tracked = [
        tracker.update(nothing if index in (6, 7, 8) else found, index / FPS)
        for index, found in enumerate(seen)
    ]
    cats = [each for found in tracked for each in found.to_dict() if each["label"] == "cat"]
    assert len(cats) >= 11
    assert {each["id"] for each in cats} == {cats[0]["id"]}
