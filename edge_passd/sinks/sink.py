"""What a sink is: a context that yields a function to call with each result.

Leaving the context normally completes the output and moves it under its name; leaving it by an
exception throws the unfinished output away.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edge_passd.detections import Detections
from edge_passd.sources.source import Frame
from edge_passd.tracking import Counts


@dataclass(frozen=True)
class Result:
    """One frame and what was found in it.

    infer_s: seconds that finding it took, with pre- and post-processing. latency_s: from the
    arrival of the frame to its boxes, in seconds; None for what is not live. events: objects of
    plain values, such as a line that was crossed. counts: at lines and zones, up to this frame.
    """

    frame: Frame
    detections: Detections
    infer_s: float = 0.0
    latency_s: float | None = None
    events: tuple[dict[str, Any], ...] = ()
    counts: Counts | None = None

    @cached_property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR, boxes drawn; computed once for all sinks, or never."""
        image = self.frame.image if self.counts is None else self.counts.draw(self.frame.image)
        return self.detections.draw(image)


# Returns False when the user wants to end the run.
Write = Callable[[Result], bool]
Sink = AbstractContextManager[Write]
