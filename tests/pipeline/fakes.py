"""A source, a detector and results that cost nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event

import numpy as np

from edge_passd.detections import Detections
from edge_passd.sinks.sink import Result
from edge_passd.sources.source import Frame, Source

NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ("dog",)
)
DOG = Detections(
    np.array([[1, 2, 31, 42]], np.float32), np.array([0.75], np.float32), np.array([0]), ("dog",)
)


def frame(index: int = 0, time_s: float = 0.0, side: int = 8) -> Frame:
    return Frame(np.zeros((side, side, 3), np.uint8), "made up", index, time_s)


def detect(frame: Frame) -> Result:
    """Finds a dog in every frame."""
    captured = frame.captured_s
    return Result(frame, DOG, 0.001, None if captured is None else time.monotonic() - captured)


class MadeUp(Source):
    """count: frames, None for no end. afterwards: what is called behind the last one.

    A live one sends 200 a second, whether they are taken or not, and waits at its end until it is
    closed.
    """

    name = "made up"

    def __init__(
        self,
        count: int | None,
        live: bool = False,
        afterwards: Callable[[], None] = lambda: None,
    ) -> None:
        self.live = live
        self.length = None if live else count
        self.fps = 200.0
        self._count, self._afterwards = count, afterwards
        self._taken, self._start = 0, time.monotonic()
        self._closed = Event()

    @property
    def read(self) -> int:
        """Frames that were read of a file; frames that a live source sent."""
        if not self.live:
            return self._taken
        sent = int((time.monotonic() - self._start) * 200)
        return sent if self._count is None else min(sent, self._count)

    def __iter__(self) -> Iterator[Frame]:
        while (self._count is None or self._taken < self._count) and not self._closed.is_set():
            if self.live and self.read == self._taken:
                self._closed.wait(0.001)
                continue
            self._taken = self.read if self.live else self._taken + 1
            captured = time.monotonic() if self.live else None
            yield Frame(
                np.zeros((8, 8, 3), np.uint8),
                self.name,
                self._taken - 1,
                self._taken / 200,
                captured,
            )
        self._afterwards()
        if self.live:
            self._closed.wait(20)

    def interrupt(self) -> None:
        self._closed.set()
