"""A camera or live stream: always the newest frame, never a backlog, and back when it was lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from threading import Condition, Event, Thread

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.sources.options import TIMEOUT_S
from edge_passd.sources.source import Capture, Frame, Source, SourceState, frame_rate

_log = logging.getLogger(__name__)

# A capture may fail at a damaged frame and go on with the next; one that fails for longer is lost.
_FAILING_S = 1.0
_RETRY_S = 0.01
_JOIN_S = 1.0

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0


def next_delay(previous_s: float, lived_s: float) -> float:
    """How long to wait before a source is opened again, in seconds.

    previous_s: the wait before. lived_s: how long frames came after it; a source that comes and
    goes does not start afresh, or its comings and goings would fill the log.
    """
    if lived_s > LONGEST_DELAY_S:
        return FIRST_DELAY_S
    return min(max(FIRST_DELAY_S, 2 * previous_s), LONGEST_DELAY_S)


class Live(Source):
    """A thread reads as fast as the capture delivers and keeps the newest frame only.

    capture: an open one; this object releases it. timeout_s: so long without a frame, and the
    source counts as lost. reopen: opens the source anew, None if it is not there; it is called
    until it is, or until give_up_s seconds have passed. Without `reopen` a lost source is the end.
    report: takes a line when the source is lost and one when it is back.
    Iterating raises BadInput for a source that never sends a frame or is lost for good.
    """

    live = True

    def __init__(
        self,
        capture: Capture,
        name: str,
        timeout_s: float = TIMEOUT_S,
        reopen: Callable[[], Capture | None] | None = None,
        give_up_s: float | None = None,
        report: Callable[[str], object] = _log.warning,
    ) -> None:
        self.name = name
        self.fps = frame_rate(capture)
        self._timeout_s, self._give_up_s = timeout_s, give_up_s
        self._reopen, self._report = reopen, report
        self._newest: tuple[np.ndarray, int, float] | None = None
        self._frames = self._dropped = self._reconnects = 0
        self._problem = ""
        self._lost_s = 0.0  # when; counts while there is a problem
        self._last_s = time.monotonic()  # of the newest frame, or of the start
        self._changed = Condition()  # guards all of these
        self._stop = Event()
        # A daemon: a driver that never returns from read() must not keep the program alive.
        self._thread = Thread(
            target=self._work, args=(capture,), name=f"reader of {name}", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        while (newest := self._take()) is not None:
            image, index, at = newest
            start = at if start is None else start
            yield Frame(image, self.name, index, at - start, at)

    def state(self) -> SourceState:
        with self._changed:
            if self._stop.is_set():
                problem, connected = "", False
            else:
                is_silent = self._silent_s() > self._timeout_s
                problem = self._problem or (self._silence() if is_silent else "")
                connected = not problem
            return SourceState(connected, self._reconnects, self._frames, self._dropped, problem)

    def interrupt(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Returns soon, also when the driver hangs; the thread releases the capture."""
        self.interrupt()
        self._thread.join(_JOIN_S)

    def _take(self) -> tuple[np.ndarray, int, float] | None:
        """The newest frame, its number and arrival time (s), once each; None after `close`."""
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: self._newest is not None or self._stop.is_set(), self._patience_s()
                )
                newest, self._newest = self._newest, None
            if newest is not None:
                return newest
            if not self._stop.is_set():
                self._judge_silence()
        return None

    def _silent_s(self) -> float:
        return time.monotonic() - self._last_s

    def _patience_s(self) -> float:
        """Until the silence is worth a look."""
        silent_s = self._silent_s()
        limits = (self._timeout_s, self._give_up_s)
        left = [limit - silent_s for limit in limits if limit is not None and limit > silent_s]
        return min(left, default=self._timeout_s)

    def _judge_silence(self) -> None:
        """Note that the source is lost; raise BadInput when there is no hope."""
        silent_s, silence = self._silent_s(), self._silence()
        if self._give_up_s is not None and silent_s >= self._give_up_s and self._frames:
            raise BadInput(f"{self.name}: lost, and not back for {self._give_up_s:g} s")
        if silent_s < self._timeout_s:
            return
        if not self._frames:
            raise BadInput(f"{silence}: it never sent one; is it switched on?")
        if self._reopen is None:
            raise BadInput(f"{silence}: it was unplugged or it ended")
        self._lose(silence)

    def _work(self, capture: Capture | None) -> None:
        delay_s = 0.0
        while capture is not None:
            opened_s = time.monotonic()
            self._read(capture)
            capture.release()
            if self._reopen is None or self._stop.is_set():
                return
            self._lose(f"{self.name}: it was unplugged or it ended")
            delay_s = next_delay(delay_s, self._last_s - opened_s)
            capture, delay_s = self._open_again(self._reopen, delay_s)

    def _open_again(
        self, reopen: Callable[[], Capture | None], delay_s: float
    ) -> tuple[Capture | None, float]:
        """An open capture, None after `close`, and the wait that went before."""
        while not self._stop.wait(delay_s):
            if (capture := reopen()) is not None:
                return capture, delay_s
            delay_s = next_delay(delay_s, 0.0)
        return None, delay_s

    def _read(self, capture: Capture) -> None:
        """Until the capture has failed for a while, or until `close`."""
        last_s = time.monotonic()
        while not self._stop.is_set():
            image = _read_one(capture)
            now = time.monotonic()
            if image is not None:
                last_s = now
                self._store(image, now)
            elif self._reopen is not None and now - last_s > _FAILING_S:
                return
            else:
                self._stop.wait(_RETRY_S)

    def _store(self, image: np.ndarray, now: float) -> None:
        back_after_s: float | None = None
        with self._changed:
            if self._problem:
                back_after_s = now - self._lost_s
                self._problem = ""
                self._reconnects += 1
            self._dropped += self._newest is not None
            self._newest = (image, self._frames, now)
            self._frames += 1
            self._last_s = now
            self._changed.notify()
        if back_after_s is not None:
            self._report(f"{self.name}: back after {back_after_s:.0f} s")

    def _lose(self, problem: str) -> None:
        """Note it, and say it, unless that has been done or no frame has come yet."""
        with self._changed:
            if self._problem or not self._frames:
                return
            self._problem, self._lost_s = problem, self._last_s
        self._report(f"{problem}; trying again until it is back")

    def _silence(self) -> str:
        return f"{self.name}: no frame for {self._timeout_s:g} s"


def _read_one(capture: Capture) -> np.ndarray | None:
    try:
        ok, image = capture.read()
    except cv2.error:  # how some backends meet a frame that cannot be decoded
        return None
    return image if ok else None
