"""A camera or live stream: always the newest frame, never a backlog."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Condition, Event, Thread

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.sources.source import Capture, Frame, Source, frame_rate

# Longer than a camera or a stream's reconnection takes to come back by itself.
TIMEOUT_S = 10.0

_RETRY_S = 0.01
_JOIN_S = 1.0


class Live(Source):
    """A thread reads as fast as the capture delivers and keeps the newest frame only.

    capture: an open one. timeout_s: iterating raises BadInput when no frame came for so long.
    """

    live = True

    def __init__(self, capture: Capture, name: str, timeout_s: float = TIMEOUT_S) -> None:
        self.name = name
        self.fps = frame_rate(capture)
        self._capture = capture
        self._timeout_s = timeout_s
        self._newest: tuple[np.ndarray, int, float] | None = None
        self._arrived = Condition()
        self._stop = Event()
        # A daemon: a driver that never returns from read() must not keep the program alive.
        self._thread = Thread(target=self._read, name=f"reader of {name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        while (newest := self._take()) is not None:
            image, index, at = newest
            start = at if start is None else start
            yield Frame(image, self.name, index, at - start)
        reason = "it never sent one" if start is None else "it was unplugged or it ended"
        raise BadInput(f"{self.name}: no frame for {self._timeout_s:g} s: {reason}")

    def _take(self) -> tuple[np.ndarray, int, float] | None:
        """The newest frame, its number and arrival time (s), once each; None if none comes."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._newest is not None, self._timeout_s)
            newest, self._newest = self._newest, None
            return newest

    def _read(self) -> None:
        index = 0
        while not self._stop.is_set():
            ok, image = self._capture.read()
            if not ok or image is None:
                self._stop.wait(_RETRY_S)
                continue
            with self._arrived:
                self._newest = (image, index, time.monotonic())
                self._arrived.notify()
            index += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join(_JOIN_S)
        # Releasing a capture while another thread is inside it can crash the driver.
        if not self._thread.is_alive():
            self._capture.release()
