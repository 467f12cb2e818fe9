"""Frames in, results out: order, bounds, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from edge_passd.pipeline.intake import AHEAD
from edge_passd.pipeline.outlet import WAITING, Outlet
from edge_passd.pipeline.pump import Limits, Tally, pump
from edge_passd.pipeline.watchdog import Watchdog
from edge_passd.sinks.sink import Result, Write
from edge_passd.sources.source import Frame, Source
from tests.pipeline.fakes import MadeUp, detect, frame


def run(
    source: Source,
    *outputs: Write,
    process: Callable[[Frame], Result] = detect,
    windows: Sequence[Write] = (),
    **limits: Any,
) -> tuple[Tally, BaseException | None]:
    with source:
        return pump(
            source, process, outputs, windows, Limits(**limits), Watchdog(pytest.fail), lambda: None
        )


class Recorder:
    """An output that remembers; it takes `seconds` for each result and says stop at `last`."""

    def __init__(self, seconds: float = 0.0, last: int | None = None) -> None:
        self.indices: list[int] = []
        self.threads: set[str] = set()
        self._seconds, self._last = seconds, last

    def __call__(self, result: Result) -> bool:
        self.indices.append(result.frame.index)
        self.threads.add(threading.current_thread().name)
        time.sleep(self._seconds)
        return result.frame.index != self._last


@settings(max_examples=25)
@given(
    count=st.integers(0, 12),
    most=st.none() | st.integers(1, 15),
    slow=st.sampled_from(["nothing", "output", "process"]),
)
def test_every_frame_of_a_file_comes_out_in_order(count: int, most: int | None, slow: str) -> None:
    def process(frame: Frame) -> Result:
        time.sleep(0.002 * (slow == "process"))
        return detect(frame)

    output = Recorder(0.002 * (slow == "output"))
    tally, broken_off = run(MadeUp(count), output, process=process, max_frames=most)
    expected = count if most is None else min(count, most)
    assert output.indices == list(range(expected))
    assert (tally.frames, tally.detections, broken_off) == (expected, expected, None)


def test_stages_have_threads_of_their_own_and_windows_the_callers() -> None:
    computed: set[str] = set()
    output, window = Recorder(), Recorder()

    def process(frame: Frame) -> Result:
        computed.add(threading.current_thread().name)
        return detect(frame)

    run(MadeUp(5), output, process=process, windows=[window])
    here = threading.current_thread().name
    assert computed == window.threads == {here}
    assert output.threads == {"outlet"}
    assert window.indices == output.indices


def test_reading_ahead_is_bounded_while_nothing_is_computed() -> None:
    source = MadeUp(None)
    first = threading.Event()

    def process(frame: Frame) -> Result:
        if not first.is_set():
            first.set()
            time.sleep(0.2)  # long enough to read a thousand frames
            # One is computed, AHEAD wait, and one is in the hands of the reader.
            assert source.read <= AHEAD + 2
        return detect(frame)

    tally, _ = run(source, process=process, max_frames=3)
    assert tally.frames == 3


def test_results_that_wait_for_a_slow_output_are_bounded() -> None:
    output, computed = Recorder(0.02), []

    def process(frame: Frame) -> Result:
        computed.append(frame.index)
        # One is being written, WAITING wait, this one is computed.
        assert len(computed) - len(output.indices) <= WAITING + 2
        return detect(frame)

    run(MadeUp(12), output, process=process)
    assert output.indices == list(range(12))


def test_a_slow_output_makes_a_live_source_skip_and_not_age() -> None:
    source, written, newer = MadeUp(None, live=True), [], []
    passing = 60  # frames that arrive in the time of one write; 0.3 s

    def process(frame: Frame) -> Result:
        newer.append(source.read - 1 - frame.index)
        return detect(frame)

    def write(result: Result) -> bool:
        written.append(result.frame.index)
        until = source.read + passing
        while source.read < until:
            time.sleep(0.005)
        return True

    tally, broken_off = run(source, write, process=process, max_frames=6)
    assert (tally.frames, len(written), broken_off) == (6, 6, None)
    # One in the writing, one waiting and one just computed are there before the first is written.
    assert written[-1] >= (6 - 3) * passing
    assert max(newer) < passing  # in a queue it would be that and more
    assert tally.latency_s is not None


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("reason", [BadInput("unplugged"), KeyboardInterrupt()])
def test_a_source_that_breaks_off_ends_the_run_behind_its_frames(
    live: bool, reason: BaseException
) -> None:
    def break_off() -> None:
        raise reason

    output = Recorder()
    tally, broken_off = run(MadeUp(4, live, break_off), output)
    assert broken_off is reason
    assert output.indices[-1] == 3
    assert tally.frames == len(output.indices)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a defect")])
@pytest.mark.parametrize("stage", ["process", "output", "window"])
def test_an_error_of_any_stage_comes_out(live: bool, error: Exception, stage: str) -> None:
    def fail(_: object) -> Any:
        raise error

    stages: dict[str, Any] = {"process": detect, "windows": []}
    outputs: list[Write] = [Recorder()]
    if stage == "process":
        stages["process"] = fail
    elif stage == "window":
        stages["windows"] = [fail]
    else:
        outputs.append(fail)
    with pytest.raises(type(error)) as caught:
        run(MadeUp(None, live), *outputs, **stages)
    assert caught.value is error
    assert not [each for each in threading.enumerate() if each.name == "outlet"]


def test_bad_input_from_an_output_keeps_what_the_others_have() -> None:
    def full(result: Result) -> bool:
        if result.frame.index == 2:
            raise BadInput("the disk is full")
        return True

    output = Recorder()
    _, broken_off = run(MadeUp(None), output, full)
    assert str(broken_off) == "the disk is full"
    assert output.indices == [0, 1, 2]


def test_the_last_result_counts_even_when_its_output_fails() -> None:
    def full(result: Result) -> bool:
        time.sleep(0.02)
        if result.frame.index == 2:
            raise OSError(28, "No space left on device")
        return True

    with pytest.raises(OSError, match="No space left"):
        run(MadeUp(3), full)


@pytest.mark.parametrize("where", ["output", "window"])
def test_who_says_stop_is_heard(where: str) -> None:
    stop = Recorder(last=3)
    outputs, windows = ([stop], []) if where == "output" else ([], [stop])
    tally, broken_off = run(MadeUp(None), *outputs, windows=windows)
    assert broken_off is None
    assert stop.indices == [0, 1, 2, 3]
    assert tally.frames >= 4


@pytest.mark.parametrize("count", [None, 0])
def test_the_duration_ends_a_run_with_and_without_frames(count: int | None) -> None:
    output = Recorder()
    start = time.monotonic()
    tally, broken_off = run(MadeUp(count, live=True), output, duration_s=0.3)
    assert 0.3 <= time.monotonic() - start < 10
    assert broken_off is None
    assert tally.frames == len(output.indices)
    assert (tally.frames > 0) == (count is None)


def test_the_rate_is_kept_and_no_frame_of_a_file_is_lost() -> None:
    output = Recorder()
    start = time.monotonic()
    run(MadeUp(5), output, max_fps=20)
    assert time.monotonic() - start >= 4 / 20
    assert output.indices == list(range(5))


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    at: list[float] = []

    def process(frame: Frame) -> Result:
        at.append(time.monotonic())
        if frame.index == 0:
            time.sleep(0.4)
        return detect(frame)

    run(MadeUp(4), process=process, max_fps=10)
    assert at[3] - at[1] >= 1 / 10  # in a burst it would be nothing, by the plan two tenths


def test_an_output_that_is_stuck_does_not_hold_the_end() -> None:
    released = threading.Event()

    def stuck(result: Result) -> bool:
        return released.wait(20)

    with pytest.raises(BadInput, match=r"took nothing for 0\.1 s"), Outlet([stuck], 0.1) as outlet:
        outlet.put(detect(frame()))
    released.set()


def test_no_thread_is_left_behind() -> None:
    def ours() -> list[str]:
        return [each.name for each in threading.enumerate() if "intake" in each.name]

    for live in (False, True):
        for _ in range(3):
            run(MadeUp(None, live), Recorder(), max_frames=3)
    assert ours() == []
