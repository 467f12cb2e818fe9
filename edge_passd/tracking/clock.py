"""When something has been out of sight for too long."""

from __future__ import annotations

import math
from typing import Any

# How long a track that nobody sees is remembered, seconds.
LOST_S = 2.0
# The same in frames: photos have no time, so there the frames bound what is kept.
LOST_FRAMES = 300


class Clock:
    """The time of a source, which here never goes back: a file that starts again goes on.

    seconds, frames: since the first tick.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.frames = 0
        self._last_s: float | None = None

    def tick(self, time_s: float) -> float:
        """Seconds (>= 0) since the frame before this one, of time `time_s`; ValueError for NaN."""
        if not math.isfinite(time_s):
            raise ValueError(f"the time of a frame must be a number, not {time_s}")
        step = 0.0 if self._last_s is None else max(0.0, time_s - self._last_s)
        self._last_s = time_s
        self.seconds += step
        self.frames += 1
        return step

    def is_lost(self, seen_s: Any, seen_frame: Any, lost_s: float) -> Any:
        """Whether what was last seen then, by `seconds` and `frames`, is to be forgotten.

        seen_s, seen_frame: numbers or arrays; so is the answer, bool.
        """
        return (self.seconds - seen_s > lost_s) | (self.frames - seen_frame > LOST_FRAMES)
