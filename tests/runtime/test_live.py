from __future__ import annotations

import threading
from queue import Queue

import numpy as np
import pytest

from edge_passd.errors import BadInput
from edge_passd.sources.live import Live

PATIENCE_S = 5.0  # far more than any of these steps takes; a hang fails instead of waiting


class Camera:
    """Delivers a frame when told to, as fast as it is read; fails once unplugged."""

    def __init__(self) -> None:
        self._frames: Queue[int | None] = Queue()
        self.taken = threading.Semaphore(0)
        self.is_released = threading.Event()
        self._unplugged = False

    def film(self, *values: int) -> None:
        """Let the reader take these frames, and wait until it comes back for more."""
        for value in values:
            self._frames.put(value)
        for _ in values:
            assert self.taken.acquire(timeout=PATIENCE_S)

    def unplug(self) -> None:
        self._unplugged = True
        self._frames.put(None)

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        value = None if self._unplugged else self._frames.get(timeout=PATIENCE_S)
        # The frame before this one has been stored by now: the reader is back.
        self.taken.release()
        return (False, None) if value is None else (True, np.full((2, 2, 3), value, np.uint8))

    def get(self, propId: int) -> float:
        return 30.0

    def release(self) -> None:
        self.is_released.set()


def test_only_the_newest_frame_is_kept() -> None:
    camera = Camera()
    with Live(camera, "camera:0", timeout_s=PATIENCE_S) as live:
        frames = iter(live)
        camera.film(1, 2, 3, 4)
        camera.unplug()  # the reader has come back after 4, so 4 is stored
        first = next(frames)
        assert (first.image[0, 0, 0], first.index, first.time_s) == (4, 3, 0.0)
    assert camera.is_released.wait(PATIENCE_S)


def test_each_frame_comes_once_and_time_goes_on() -> None:
    camera = Camera()
    with Live(camera, "camera:0", timeout_s=PATIENCE_S) as live:
        assert live.fps == 30.0
        assert live.live
        assert live.length is None
        frames = iter(live)
        seen = []
        for value in (10, 20, 30):
            camera.film(value)
            seen.append(next(frames))
        assert [frame.image[0, 0, 0] for frame in seen] == [10, 20, 30]
        assert [frame.index for frame in seen] == [0, 1, 2]
        assert [frame.source for frame in seen] == ["camera:0"] * 3
        times = [frame.time_s for frame in seen]
        assert times[0] == 0
        assert times == sorted(times)
        camera.unplug()


def test_an_unplugged_camera_is_an_error_after_the_timeout() -> None:
    camera = Camera()
    with Live(camera, "camera:0", timeout_s=0.2) as live:
        frames = iter(live)
        camera.film(1)
        next(frames)
        camera.unplug()
        with pytest.raises(BadInput, match=r"camera:0: no frame for 0\.2 s: it was unplugged"):
            next(frames)
    assert camera.is_released.wait(PATIENCE_S)


def test_a_camera_that_never_sends_is_an_error_after_the_timeout() -> None:
    camera = Camera()
    camera.unplug()
    with (
        Live(camera, "camera:7", timeout_s=0.1) as live,
        pytest.raises(BadInput, match="never sent"),
    ):
        next(iter(live))


def test_a_driver_that_hangs_is_left_alone() -> None:
    class Hung(Camera):
        def read(self) -> tuple[bool, np.ndarray | None]:
            hang.wait(PATIENCE_S)
            return False, None

    hang = threading.Event()
    camera = Hung()
    live = Live(camera, "camera:0", timeout_s=0.1)
    with pytest.raises(BadInput, match="no frame"):
        next(iter(live))
    live.close()
    assert not camera.is_released.is_set()  # releasing under a reading thread can crash it
    hang.set()
