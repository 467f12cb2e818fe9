"""Two artefacts in turn, on a clock that tests set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_passd.bench import against
from edge_passd.bench.against import BURST, ROUNDS, UNTIMED, extent, ratio, take_turns
from edge_passd.bench.measure import Shot
from edge_passd.bench.protocol import Protocol
from edge_passd.errors import BadInput
from tests.bench.fakes import Clock, turn_taking

QUICK = Protocol(iterations=20, seconds=0, limit_s=None)


def seconds(shot: Shot) -> float:
    return shot.seconds


def test_the_ratio_of_steady_times_is_exact() -> None:
    clock = Clock()
    turns = turn_taking(clock, [0.01]), turn_taking(clock, [0.04])
    ours, theirs = take_turns(*turns, QUICK, clock, lambda: None)
    assert len(ours) == len(theirs) == ROUNDS
    assert ratio(ours, theirs, seconds) == pytest.approx((0.25, 0.25, 0.25))
    assert ratio(theirs, ours, lambda shot: shot.infer) == pytest.approx((4, 4, 4))


def test_a_machine_that_slows_down_hits_both_alike() -> None:
    clock = Clock()

    def slowing(base: float) -> against.Turn:
        def turn() -> list[Shot]:
            started, taken = clock.now, base * clock.now / 100
            clock.now += taken
            return [Shot(started, 0, taken, 0)]

        return turn

    rounds = take_turns(slowing(0.1), slowing(0.05), replace(QUICK, seconds=20), clock, lambda: 0)
    found = ratio(*rounds, seconds)
    assert found.value == pytest.approx(2, rel=0.02)
    assert found.low < 2 < found.high
    slowest, fastest = (f(s.seconds for burst in rounds[0] for s in burst) for f in (max, min))
    assert slowest > 1.2 * fastest  # the machine did slow down


def test_both_get_what_the_protocol_asks_and_bursts_are_whole_turns() -> None:
    clock, settled = Clock(), list[float]()
    turns = turn_taking(clock, [0.01], photos=3), turn_taking(clock, [0.1], photos=3)
    protocol = replace(QUICK, iterations=70, seconds=2)
    rounds = take_turns(*turns, protocol, clock, lambda: settled.append(clock.now))
    assert {len(burst) for each in rounds for burst in each} == {
        6
    }  # two turns of three, over BURST
    for each in rounds:
        count, timed = extent(each)
        assert protocol.is_complete(count, timed)
    assert len(settled) == 2 * len(rounds[0])
    assert BURST > UNTIMED > 0


def test_the_order_changes_from_round_to_round() -> None:
    clock = Clock()
    turns = turn_taking(clock, [0.01]), turn_taking(clock, [0.01])
    ours, theirs = take_turns(*turns, replace(QUICK, iterations=100), clock, lambda: None)
    first = [a[0].at < b[0].at for a, b in zip(ours, theirs, strict=True)]
    assert 0 < np.mean(first) < 1


def test_a_time_limit_ends_it_after_whole_rounds() -> None:
    clock, told = Clock(), list[float]()
    turns = turn_taking(clock, [1.0]), turn_taking(clock, [1.0])
    protocol = replace(QUICK, limit_s=20)
    ours, theirs = take_turns(*turns, protocol, clock, lambda: None, told.append)
    assert len(ours) == len(theirs) == 2  # of 14 s each
    assert told[-1] == 1


def test_noise_widens_the_interval() -> None:
    rng, clock = np.random.default_rng(0), Clock()

    def noisy(sigma: float) -> against.Turn:
        return turn_taking(clock, np.exp(rng.normal(-4, sigma, 5000)).tolist())

    widths = []
    for sigma in (0.02, 0.3):
        found = ratio(*take_turns(noisy(sigma), noisy(sigma), QUICK, clock, lambda: None), seconds)
        widths.append(found.high - found.low)
        assert found.low <= found.value <= found.high
    assert widths[1] > 3 * widths[0]


def test_threads_that_never_sleep_are_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(against.time, "perf_counter", clock)
    monkeypatch.setattr(against.time, "process_time", clock)

    def sleep(nap: float) -> None:
        clock.now += nap

    monkeypatch.setattr(against.time, "sleep", sleep)
    with pytest.raises(BadInput, match="never sleep"):
        against.wait_until_idle()


def test_an_idle_process_is_idle() -> None:
    against.wait_until_idle()


def test_what_is_cold_after_a_pause_is_not_timed() -> None:
    clock, runs = Clock(), [0]

    def turn() -> list[Shot]:
        runs[0] += 1
        started, taken = clock.now, 0.5 if runs[0] <= UNTIMED else 0.01
        clock.now += taken
        return [Shot(started, 0, taken, 0)]

    def pause() -> None:
        runs[0] = 0

    rounds = take_turns(turn, turn, QUICK, clock, pause)
    assert {shot.infer for each in rounds for burst in each for shot in burst} == {0.01}
