"""The last stage: a thread that writes results while the next frame is computed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from threading import Condition, Thread
from types import TracebackType

from edge_passd.errors import BadInput
from edge_passd.sinks.sink import Result, Write

# One result in the writing, one waiting. More would let results grow old before they are seen.
WAITING = 1
# Longer than a busy disk takes; less than a service manager waits before it kills.
PATIENCE_S = 10.0


class Outlet:
    """Hands each result to all `writes`, in order, in a thread that lives as long as the block.

    Leaving the block normally, by KeyboardInterrupt or by BadInput writes what was put before;
    any other exception, or a second KeyboardInterrupt meanwhile, leaves it unwritten.
    Raises then what a write raised, and BadInput when one has not returned for `patience_s`.
    """

    def __init__(self, writes: Sequence[Write], patience_s: float = PATIENCE_S) -> None:
        # Of the last result, on the clock of `time.perf_counter`.
        self.written_at = 0.0
        self._writes = tuple(writes)
        self._patience_s = patience_s
        self._results: deque[Result] = deque()
        self._changed = Condition()
        self._is_open = self._goes_on = True
        self._error: BaseException | None = None
        # A daemon: a pipe that nobody reads must not keep the program alive.
        self._thread = Thread(target=self._write, name="outlet", daemon=True)

    def put(self, result: Result) -> bool:
        """Hand over one result; waits while another is waiting.

        False when a write wants the run to end. Raises what a write raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._results) < WAITING or not self._goes_on)
            if self._error is not None:
                raise self._error
            if self._goes_on:
                self._results.append(result)
                self._changed.notify_all()
            return self._goes_on

    def _write(self) -> None:
        while (result := self._next()) is not None:
            try:
                answers = [write(result) for write in self._writes]
                goes_on = all(answers)
                self.written_at = time.perf_counter()
            except BaseException as error:  # raised again in the thread that puts
                self._error, goes_on = error, False
            if not goes_on:
                with self._changed:
                    self._goes_on = False
                    self._changed.notify_all()
                return

    def _next(self) -> Result | None:
        with self._changed:
            self._changed.wait_for(lambda: self._results or not self._is_open)
            if not self._results:
                return None
            self._changed.notify_all()
            return self._results.popleft()

    def __enter__(self) -> Outlet:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        completes = kind is None or issubclass(kind, (KeyboardInterrupt, BadInput))
        try:
            self._finish(completes)
        except KeyboardInterrupt:
            self._finish(False)
            raise
        if completes and self._error not in (None, error):
            raise self._error  # type: ignore[misc]
        if completes and self._thread.is_alive():
            raise BadInput(
                f"an output took nothing for {self._patience_s:g} s; is the reader of a pipe stuck?"
            )

    def _finish(self, completes: bool) -> None:
        with self._changed:
            self._is_open = False
            if not completes:
                self._results.clear()
            self._changed.notify_all()
        self._thread.join(self._patience_s)
