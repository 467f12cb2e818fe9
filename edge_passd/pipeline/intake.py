"""The first stage: a thread that reads the source while the frame before is computed."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from threading import Condition, Thread
from types import TracebackType

from edge_passd.sources.source import Frame, Source

# Enough to hide a slow read behind an inference; more would only hold memory.
AHEAD = 2
_LEAVE_S = 1.0


class Intake:
    """Reads in a thread of its own for as long as the `with` block lasts.

    A file is read at most `AHEAD` frames ahead and none is lost; a live source is asked when a
    frame is wanted, for its newest. max_frames: read no more of a file than so many, None for all.
    """

    def __init__(self, source: Source, max_frames: int | None = None) -> None:
        self._source = source
        self._most = None if source.live else max_frames
        self._frames: deque[Frame] = deque()
        self._changed = Condition()
        self._wanted = self._ended = self._stopped = False
        self._error: BaseException | None = None
        # A daemon: a driver that never returns must not keep the program alive.
        self._thread = Thread(target=self._read, name=f"intake of {source.name}", daemon=True)

    def take(self, until: float | None = None) -> Frame | None:
        """The next frame; None after the last one, or at `until` (`time.monotonic`).

        Raises what the source raised, once the frames before it are taken.
        """
        with self._changed:
            left = None if until is None else max(0.0, until - time.monotonic())
            self._wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._frames or self._ended, left)
            self._wanted = False
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            if self._error is not None:
                raise self._error
            return None

    def _read(self) -> None:
        try:
            frames = islice(self._source, self._most)
            while self._has_room() and (frame := next(frames, None)) is not None:
                with self._changed:
                    self._frames.append(frame)
                    self._changed.notify_all()
        except BaseException as error:  # raised again where the frame would have been taken
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        """Wait for it; False when reading is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._may_read())
            return not self._stopped

    def _may_read(self) -> bool:
        if self._source.live:
            return self._wanted and not self._frames
        return len(self._frames) < AHEAD

    def __enter__(self) -> Intake:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._source.interrupt()
        # A file must not be closed under its reader; a live source looks after that by itself.
        self._thread.join(_LEAVE_S if self._source.live else None)
