"""The rules of warm-up and measurement on a clock that tests set."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bench.measure import timed_detect, turn_of
from edge_passd.bench.protocol import DEFAULT, MLPERF, Protocol, collect, span, warm_up
from edge_passd.detector import Detector
from tests.bench.fakes import Clock, FakeEngine, turn_taking

QUICK = Protocol(iterations=20, seconds=0, limit_s=None, window_s=0)


def test_steady_times_are_warm_after_two_windows() -> None:
    clock = Clock()
    found = warm_up(turn_taking(clock, [0.01]), QUICK, clock)
    assert (found.iterations, found.stable) == (20, True)
    assert found.seconds == pytest.approx(0.2)


def test_a_slow_start_is_waited_for() -> None:
    clock = Clock()
    times = chain(repeat(0.09, 10), repeat(0.05, 10), repeat(0.03, 10), repeat(0.01))
    found = warm_up(turn_taking(clock, times), QUICK, clock)
    assert (found.iterations, found.stable) == (50, True)


@pytest.mark.parametrize(("factor", "windows"), [(1.019, 2), (1.03, 3)])
def test_two_percent_is_the_border(factor: float, windows: int) -> None:
    clock = Clock()
    times = chain(repeat(0.01, 10), repeat(0.01 * factor))
    found = warm_up(turn_taking(clock, times), QUICK, clock)
    assert found.iterations == 10 * windows


def test_one_slow_detection_does_not_make_a_window_unstable() -> None:
    clock = Clock()
    found = warm_up(turn_taking(clock, [0.01] * 9 + [0.5]), QUICK, clock)
    assert (found.iterations, found.stable) == (20, True)


def test_a_window_lasts_half_a_second_however_fast_the_engine() -> None:
    clock = Clock()
    found = warm_up(turn_taking(clock, [0.001]), DEFAULT, clock)
    assert found.iterations == pytest.approx(1000, abs=2)
    assert found.seconds == pytest.approx(1, abs=0.01)


def test_times_that_never_settle_end_at_the_limit_and_say_so() -> None:
    clock, told = Clock(), list[float]()
    growing = (0.01 * 1.01**number for number in range(10_000))
    found = warm_up(
        turn_taking(clock, growing), replace(QUICK, warm_up_limit_s=3), clock, told.append
    )
    assert not found.stable
    assert 3 <= found.seconds < 3.1
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_limit_of_nothing_still_runs_once() -> None:
    clock = Clock()
    found = warm_up(turn_taking(clock, [0.01], photos=3), replace(QUICK, warm_up_limit_s=0), clock)
    assert (found.iterations, found.stable) == (3, False)


@pytest.mark.parametrize(
    ("protocol", "seconds", "iterations"),
    [
        (replace(QUICK, iterations=50, seconds=1), 0.1, 50),  # iterations take longer
        (replace(QUICK, iterations=5, seconds=1.05), 0.1, 11),  # the time takes more iterations
        (replace(QUICK, iterations=1, seconds=0), 0.1, 1),
        (replace(QUICK, iterations=1000, seconds=1, limit_s=2.95), 0.1, 30),  # cut short
        (DEFAULT, 0.001, 10_000),
        (DEFAULT, 0.3, 100),
        (DEFAULT, 1.0, 40),
        (MLPERF, 0.01, 6000),
        (MLPERF, 1.0, 1024),
    ],
)
def test_iterations_and_seconds_are_both_asked_for(
    protocol: Protocol, seconds: float, iterations: int
) -> None:
    shots = collect(turn_taking(Clock(), [seconds]), protocol)
    assert len(shots) == pytest.approx(iterations, abs=1 if iterations > 5000 else 0)


@given(
    st.integers(1, 60), st.floats(0, 3), st.none() | st.floats(0.1, 3), st.floats(0.01, 0.5),
    st.integers(1, 4),
)  # fmt: skip
def test_a_measurement_is_complete_unless_its_limit_cut_it(
    iterations: int, seconds: float, limit: float | None, each: float, photos: int
) -> None:
    protocol, told = replace(QUICK, iterations=iterations, seconds=seconds, limit_s=limit), [0.0]
    shots = collect(turn_taking(Clock(), [each], photos), protocol, told.append)
    passed = span(shots)
    assert protocol.is_complete(len(shots), passed) or (limit is not None and passed >= limit)
    # A turn earlier it was not over, and what it told the terminal rose to 1.
    before = shots[:-photos]
    assert not before or protocol.share(len(before), span(before)) < 1
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(shots) % photos == 0


def test_stages_are_timed_apart_through_the_real_detector() -> None:
    clock = Clock()
    detector = Detector.from_engine(FakeEngine(clock, 0.02))
    picture = np.zeros((100, 200, 3), np.uint8)
    detections, shot = timed_detect(detector, picture, clock)
    assert detections.names == ("cat",)
    np.testing.assert_allclose(detections.boxes, [[50, 25, 150, 75]])
    assert (shot.at, shot.pre, shot.post) == (100.0, 0, 0)
    assert shot.infer == shot.seconds == pytest.approx(0.02)
    shots = turn_of(detector, [picture] * 3, clock)()
    assert [each.at for each in shots] == pytest.approx([100.02, 100.04, 100.06])
