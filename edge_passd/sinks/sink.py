"""What a sink is: a context that yields a function to call with each result.

Leaving the context normally completes the output and moves it under its name; leaving it by an
exception throws the unfinished output away.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_passd.detections import Detections
from edge_passd.sources.source import Frame


@dataclass(frozen=True)
class Result:
    """One frame and what was found in it."""

    frame: Frame
    detections: Detections

    @cached_property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR, boxes drawn; computed once for all sinks, or never."""
        return self.detections.draw(self.frame.image)


# Returns False when the user wants to end the run.
Write = Callable[[Result], bool]
Sink = AbstractContextManager[Write]
