"""The tracker on films with known truth, beside the one that anybody writes first."""

from __future__ import annotations

import numpy as np
import pytest

from edge_passd.detections import Detections
from edge_passd.tracking import Tracker
from tests.tracking.greedy import GreedyTracker
from tests.tracking.metrics import Quality, quality
from tests.tracking.sequences import Difficulty, Step, film


def measure(tracker: Tracker | GreedyTracker, steps: list[Step]) -> Quality:
    return quality(steps, [tracker.update(step.seen, step.time_s) for step in steps])


# least: IDF1 that the tracker must reach; gain: over the greedy one.
FILMS = {
    "a good detector": (Difficulty(), 0.9, 0.1),
    "one box in five missed": (Difficulty(missed=0.2), 0.7, 0.4),
    "a third of the scores low": (Difficulty(missed=0.05, weak=0.3), 0.8, 0.4),
    "false boxes": (Difficulty(missed=0.1, false=0.5), 0.75, 0.4),
    "a live source that drops": (Difficulty(missed=0.05, dropped=0.4), 0.6, 0.3),
    "five frames per second": (Difficulty(missed=0.05, fps=5), 0.7, 0.3),
    "a class that flickers": (Difficulty(weak=0.1, confused=0.1), 0.8, 0.4),
    "boxes that tremble": (Difficulty(missed=0.1, noise=0.05, fps=30), 0.75, 0.4),
}


@pytest.mark.parametrize("name", FILMS)
def test_tracks_better_than_greedy_overlap(name: str) -> None:
    difficulty, least, gain = FILMS[name]
    films = [film(8, 8, difficulty, np.random.default_rng(seed)) for seed in (11, 12)]
    ours = [measure(Tracker(), steps) for steps in films]
    greedy = [measure(GreedyTracker(), steps) for steps in films]
    idf1 = np.mean([each.idf1 for each in ours])
    assert idf1 >= least
    assert idf1 >= np.mean([each.idf1 for each in greedy]) + gain
    assert sum(each.switches for each in ours) < sum(each.switches for each in greedy) / 2
    assert np.mean([each.mota for each in ours]) >= np.mean([each.mota for each in greedy]) - 0.01


def test_the_measure_itself() -> None:
    """Two films by hand: perfect, and one change of track half way."""
    box = np.array([[10.0, 10, 50, 50]])
    steps = [Step(i / 10, np.array([3]), box, None) for i in range(10)]  # type: ignore[arg-type]

    def tracked(id_: int) -> Detections:
        label = np.zeros(1, np.int64)
        return Detections(box, np.ones(1, np.float32), label, ("dog",), np.array([id_]))

    assert quality(steps, [tracked(1)] * 10) == Quality(1.0, 1.0, 0)
    assert quality(steps, [tracked(1)] * 5 + [tracked(2)] * 5) == Quality(0.9, 0.5, 1)
