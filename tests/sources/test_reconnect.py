"""Live sources that are lost and come back, with captures that do as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Queue

import cv2
import numpy as np
import pytest

from edge_passd.errors import BadInput
from edge_passd.sources.live import FIRST_DELAY_S, LONGEST_DELAY_S, Live, next_delay
from edge_passd.sources.opening import open_within

PATIENCE_S = 10.0


class Capture:
    """Delivers `frames`, then fails; or hangs in `read` while `hang` is set."""

    def __init__(self, frames: Sequence[int] = (), side: int = 4) -> None:
        self._left = list(frames)
        self._side = side
        self.hang = threading.Event()
        self.is_hanging = threading.Event()
        self.let_go = threading.Event()
        self.is_released = threading.Event()
        self.released_by: str | None = None

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.hang.is_set():
            self.is_hanging.set()
            self.let_go.wait(PATIENCE_S)
        if not self._left:
            return False, None
        return True, np.full((self._side, self._side, 3), self._left.pop(0), np.uint8)

    def film(self, value: int) -> None:
        self._left.append(value)

    def get(self, propId: int) -> float:
        return 30.0 if propId == cv2.CAP_PROP_FPS else 0.0

    def release(self) -> None:
        self.released_by = threading.current_thread().name
        self.is_released.set()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("previous_s", "lived_s", "next_s"),
    [
        (0.0, -1.0, FIRST_DELAY_S),
        (0.0, 3600.0, FIRST_DELAY_S),
        (FIRST_DELAY_S, 0.0, 2 * FIRST_DELAY_S),
        (8.0, 3.0, 16.0),
        (16.0, 0.0, LONGEST_DELAY_S),
        (LONGEST_DELAY_S, 0.0, LONGEST_DELAY_S),
        (LONGEST_DELAY_S, 3600.0, FIRST_DELAY_S),
    ],
)
def test_waits_double_and_start_afresh_after_a_good_while(
    previous_s: float, lived_s: float, next_s: float
) -> None:
    assert next_delay(previous_s, lived_s) == next_s


@pytest.mark.usefixtures("quick")
def test_a_lost_source_comes_back_and_each_is_said_once() -> None:
    first, second = Capture([1]), Capture([2], side=6)
    answers: Queue[Capture | None] = Queue()
    reports: list[str] = []
    with Live(first, "cam", PATIENCE_S, answers.get, report=reports.append) as live:
        frames = iter(live)
        one = next(frames)
        for answer in (None, None, None, second):
            answers.put(answer)
        two = next(frames)
        assert first.is_released.is_set()
        assert [one.image.shape[0], two.image.shape[0]] == [4, 6]
        assert [one.index, two.index] == [0, 1]
        assert one.captured_s is not None
        assert two.captured_s is not None
        assert two.time_s == pytest.approx(two.captured_s - one.captured_s)
        assert 0 < two.time_s < PATIENCE_S
        # The second capture fails in its turn.
        until(lambda: live.state().problem != "")
        state = live.state()
        answers.put(None)
    answers.put(None)
    assert (state.connected, state.reconnects, state.frames, state.dropped) == (False, 1, 2, 0)
    assert state.problem == "cam: it was unplugged or it ended"
    lost = "cam: it was unplugged or it ended; trying again until it is back"
    assert reports == [lost, "cam: back after 0 s", lost]


@pytest.mark.usefixtures("quick")
def test_a_limit_ends_a_run_that_waits_in_vain() -> None:
    reports: list[str] = []
    with Live(Capture([1]), "cam", PATIENCE_S, lambda: None, 0.3, reports.append) as live:
        frames = iter(live)
        next(frames)
        with pytest.raises(BadInput, match=r"cam: lost, and not back for 0\.3 s"):
            next(frames)
    assert len(reports) == 1


@pytest.mark.usefixtures("quick")
def test_a_source_that_never_sends_is_an_error_although_it_could_be_opened_again() -> None:
    reports: list[str] = []
    live = Live(Capture(), "cam", 0.3, Capture, report=reports.append)
    with live, pytest.raises(BadInput, match=r"cam: no frame for 0\.3 s: it never sent one"):
        next(iter(live))
    assert reports == []


def test_silence_is_said_once_and_its_end_too() -> None:
    capture = Capture([1, 2, 3])
    reports: list[str] = []
    with Live(capture, "cam", 0.2, lambda: None, report=reports.append) as live:
        frames = iter(live)
        next(frames)
        capture.hang.set()
        assert capture.is_hanging.wait(PATIENCE_S)
        capture.film(9)
        waiting = threading.Thread(target=lambda: list(frames), daemon=True)
        waiting.start()
        until(lambda: len(reports) == 1)
        assert live.state().problem == "cam: no frame for 0.2 s"
        time.sleep(0.5)  # more than twice the limit
        assert len(reports) == 1
        capture.hang.clear()
        capture.let_go.set()
        until(lambda: len(reports) == 2)
        assert live.state().reconnects == 1
        assert not capture.is_released.is_set()
    assert reports[0] == "cam: no frame for 0.2 s; trying again until it is back"
    assert reports[1].startswith("cam: back after")
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()


def test_the_same_picture_over_and_over_is_no_silence() -> None:
    reports: list[str] = []

    class Still(Capture):
        def read(self) -> tuple[bool, np.ndarray | None]:
            time.sleep(0.01)
            return True, np.zeros((2, 2, 3), np.uint8)

    with Live(Still(), "cam", 0.1, lambda: None, report=reports.append) as live:
        frames = iter(live)
        start = time.monotonic()
        while time.monotonic() - start < 0.4:
            next(frames)
        assert live.state().connected
    assert reports == []


def test_closing_ends_a_wait_at_once_although_the_driver_hangs() -> None:
    capture = Capture([1])
    live = Live(capture, "cam", 10 * PATIENCE_S)
    frames = iter(live)
    next(frames)
    capture.hang.set()
    assert capture.is_hanging.wait(PATIENCE_S)
    ended = threading.Event()
    waiting = threading.Thread(target=lambda: (list(frames), ended.set()), daemon=True)
    waiting.start()
    live.close()
    assert ended.wait(PATIENCE_S)
    assert not capture.is_released.is_set()
    assert not live.state().connected
    capture.let_go.set()
    assert capture.is_released.wait(PATIENCE_S)
    assert capture.released_by == "reader of cam"


@pytest.mark.usefixtures("quick")
def test_what_is_opened_after_the_end_is_released() -> None:
    late, opening, go = Capture([1]), threading.Event(), threading.Event()

    def reopen() -> Capture:
        opening.set()
        go.wait(PATIENCE_S)
        return late

    live = Live(Capture([1]), "cam", PATIENCE_S, reopen, report=lambda _: None)
    assert opening.wait(PATIENCE_S)
    live.close()
    go.set()
    assert late.is_released.wait(PATIENCE_S)


def test_a_damaged_frame_now_and_then_loses_nothing() -> None:
    class Damaged(Capture):
        def __init__(self) -> None:
            super().__init__()
            self.reads = 0

        def read(self) -> tuple[bool, np.ndarray | None]:
            self.reads += 1
            if self.reads % 3 == 1:
                return False, None
            if self.reads % 3 == 2:
                raise cv2.error("no picture")
            return True, np.zeros((2, 2, 3), np.uint8)

    reports: list[str] = []
    with Live(Damaged(), "cam", PATIENCE_S, lambda: None, report=reports.append) as live:
        until(lambda: live.state().frames > 20)
        assert live.state().connected
        assert live.state().dropped > 10  # nobody took them
    assert reports == []


def test_an_opening_that_hangs_is_left_and_released_when_it_returns() -> None:
    capture, go = Capture(), threading.Event()

    def hang() -> Capture:
        go.wait(PATIENCE_S)
        return capture

    assert open_within(hang, 0.05) is None
    assert not capture.is_released.is_set()
    go.set()
    assert capture.is_released.wait(PATIENCE_S)


def test_an_opening_in_time_is_not_released() -> None:
    capture = Capture()
    assert open_within(lambda: capture, PATIENCE_S) is capture
    assert not capture.is_released.is_set()
