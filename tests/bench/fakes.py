"""A clock that goes only when it is told to, and artefacts that take a known time on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from edge_passd.bench.measure import Shot
from edge_passd.model_info import ModelInfo

CLASSES = ("dog", "cat")
SIZE = 64


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def turn_taking(
    clock: Clock, seconds: Iterable[float], photos: int = 1
) -> Callable[[], list[Shot]]:
    """A turn whose detections take these seconds on the clock, over and over."""
    times = cycle(seconds)

    def shoot() -> Shot:
        started, taken = clock.now, next(times)
        clock.now += taken
        return Shot(started, 0.25 * taken, 0.5 * taken, 0.25 * taken)

    return lambda: [shoot() for _ in range(photos)]


@dataclass
class FakeEngine:
    """Takes `seconds` on the clock and finds one cat in the middle of the picture."""

    clock: Clock
    seconds: float
    name: str = "fake"
    metadata: str = ModelInfo("fake", CLASSES, SIZE).to_json()

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.clock.now += self.seconds
        box = np.array([[[16, 16, 48, 48]]], np.float32)
        return box, np.array([[[0.2, 0.0, 0.8]]], np.float32)
