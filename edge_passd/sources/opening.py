"""Opening a capture, which in OpenCV may take as long as it likes."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, Queue
from threading import Event, Thread

from edge_passd.sources.source import Capture


def open_within(open_capture: Callable[[], Capture], timeout_s: float) -> Capture | None:
    """What `open_capture` returns; None if that takes longer, and then it is released once it is
    there.
    """
    opened: Queue[Capture] = Queue()
    is_abandoned = Event()

    def work() -> None:
        opened.put(open_capture())
        if is_abandoned.is_set() and (late := _taken(opened)):
            late.release()

    # A daemon: a driver that never returns must not keep the program alive.
    Thread(target=work, name="opener", daemon=True).start()
    try:
        return opened.get(timeout=timeout_s)
    except Empty:
        is_abandoned.set()
        return _taken(opened)  # it may have come between the two


def opened(capture: Capture) -> Capture | None:
    """The capture, or None if it did not open."""
    if capture.isOpened():
        return capture
    capture.release()
    return None


def _taken(opened: Queue[Capture]) -> Capture | None:
    """What is in the queue, for whoever asks first."""
    try:
        return opened.get_nowait()
    except Empty:
        return None
