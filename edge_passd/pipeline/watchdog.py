"""Says when a stage takes a frame and gives no result, and tells the service manager otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from edge_passd.notify import notify, watchdog_interval

# The slowest board needs a second for a frame, and the first of an engine several.
STALLED_S = 10.0
_STEPS = 10  # looks within that time


class Watchdog:
    """A thread that looks at what the pipeline is busy with, for as long as the block lasts.

    report: takes one line when a stage is stalled for `stalled_s` seconds, and one when it is
    back. A service manager that asks for it (systemd's WatchdogSec) gets a sign of life as long as
    nothing is stalled; a source that reconnects is none of its business: a restart helps nobody.
    """

    def __init__(self, report: Callable[[str], object], stalled_s: float = STALLED_S) -> None:
        self._report = report
        self._stalled_s = stalled_s
        self._busy: tuple[str, float] | None = None
        self._told: tuple[str, float] | None = None
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="watchdog", daemon=True)

    @contextmanager
    def watching(self, stage: str) -> Iterator[None]:
        """What happens inside the block is up to `stage`."""
        self._busy = (stage, time.monotonic())
        try:
            yield
        finally:
            self._busy = None

    def _watch(self) -> None:
        asked = watchdog_interval()
        # systemd's own advice is a sign of life at half the time it waits.
        step = min(self._stalled_s / _STEPS, asked / 2 if asked else self._stalled_s)
        while not self._stop.wait(step):
            self._tell(self._busy, time.monotonic())
            if asked and self._told is None:
                notify("WATCHDOG=1")

    def _tell(self, busy: tuple[str, float] | None, now: float) -> None:
        if self._told is not None and busy != self._told:
            stage, since = self._told
            self._report(f"{stage} is back after {now - since:.0f} s")
            self._told = None
        if busy is not None and self._told is None and now - busy[1] >= self._stalled_s:
            self._report(f"{busy[0]} stalls: no result for {now - busy[1]:.0f} s; still waiting")
            self._told = busy

    def __enter__(self) -> Watchdog:
        notify("READY=1")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        notify("STOPPING=1")
        self._stop.set()
        self._thread.join()
