"""Frames from a source through a detector into outputs: three stages that overlap.

Reading has a thread (`Intake`), writing has one (`Outlet`), and the computation stays in the
thread of the caller, where signals arrive and windows live. What waits between them is bounded:
an output that is too slow stops the computation, never fills the memory; of a live source the
frames of that time are skipped, so that the next one computed is always a new one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from threading import Event

from edge_passd.errors import BadInput
from edge_passd.pipeline.intake import Intake
from edge_passd.pipeline.outlet import Outlet
from edge_passd.pipeline.watchdog import Watchdog
from edge_passd.sinks.sink import Result, Write
from edge_passd.sources.source import Frame, Source

_RECENT = 1000  # frames that the latency of a run is taken from


@dataclass(frozen=True)
class Limits:
    """Where a run ends or holds back; None for no limit.

    max_frames: results. duration_s: seconds. max_fps: results a second; a file is read more
    slowly then, of a live source more frames are skipped.
    """

    max_frames: int | None = None
    duration_s: float | None = None
    max_fps: float | None = None


@dataclass(frozen=True)
class Tally:
    """What a run did.

    seconds: from the wait for the first frame to the last result written. latency_s: median of
    the last thousand frames, from their arrival to their boxes; None for what is not live.
    """

    frames: int
    detections: int
    seconds: float
    latency_s: float | None = None


def pump(
    source: Source,
    process: Callable[[Frame], Result],
    outputs: Sequence[Write],
    windows: Sequence[Write],
    limits: Limits,
    watchdog: Watchdog,
    advance: Callable[[], None],
) -> tuple[Tally, KeyboardInterrupt | BadInput | None]:
    """Run the frames through; what was done, and why it broke off if it did.

    process: computes one result. outputs: called in another thread, windows: in this one.
    advance: called after each frame. When this returns, `outputs` are not called any more.
    Raises what a stage raised if it is neither KeyboardInterrupt nor BadInput.
    """
    frames = found = 0
    latencies: deque[float] = deque(maxlen=_RECENT)
    broken_off: KeyboardInterrupt | BadInput | None = None
    start, last = time.perf_counter(), 0.0
    end = None if limits.duration_s is None else time.monotonic() + limits.duration_s
    wait = _pace(limits.max_fps, end)
    outlet = Outlet(outputs)
    try:
        with Intake(source, limits.max_frames) as intake, outlet:
            while frames != limits.max_frames and wait():
                if (frame := intake.take(end)) is None:
                    break
                with watchdog.watching("the engine"):
                    result = process(frame)
                with watchdog.watching("an output"):
                    goes_on = outlet.put(result)
                frames, found = frames + 1, found + len(result.detections)
                if result.latency_s is not None:
                    latencies.append(result.latency_s)
                shown = [write(result) for write in windows]
                last = time.perf_counter()
                advance()
                if not (goes_on and all(shown)):
                    break
        if verdict := source.verdict():
            broken_off = BadInput(verdict)
    except (KeyboardInterrupt, BadInput) as reason:
        broken_off = reason
    seconds = max(last, outlet.written_at, start) - start
    return Tally(frames, found, seconds, median(latencies) if latencies else None), broken_off


def _pace(max_fps: float | None, end: float | None) -> Callable[[], bool]:
    """A function that waits until the next frame may be taken; False where the time is over.

    end: on the clock of `time.monotonic`.
    """
    due = 0.0
    never = Event()

    def wait() -> bool:
        nonlocal due
        now = time.monotonic()
        until = due if end is None else min(due, end)
        if until > now:
            never.wait(until - now)
            now = time.monotonic()
        if max_fps is not None:
            # By the plan, so that waking late does not add up; but a pause is not made up for.
            interval = 1 / max_fps
            due = interval + (due if now - due < interval else now)
        return end is None or now < end

    return wait
