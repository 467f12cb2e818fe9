"""Two artefacts side by side, so that a change of the machine's speed hits both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from edge_passd.bench.measure import Clock, Shot, Turn
from edge_passd.bench.protocol import Protocol, Tell, span
from edge_passd.bench.statistics import Interval, median_interval
from edge_passd.errors import BadInput

Rounds = list[list[Shot]]

UNTIMED = 2  # detections before each burst: caches, clock and sleeping threads come back
BURST = 5  # detections at least that are timed in a round
ROUNDS = 10  # at least, or a bootstrap over them says little

_NAP_S = 0.02  # long enough for a spinning thread to get its share of a busy machine
_IDLE = 0.1  # of a processor
_PATIENCE_S = 2.0


def take_turns(
    ours: Turn,
    theirs: Turn,
    protocol: Protocol,
    clock: Clock = time.perf_counter,
    settle: Callable[[], object] | None = None,
    tell: Tell = lambda share: 0,
) -> tuple[Rounds, Rounds]:
    """Both in bursts, in an order drawn anew each round, until each has had what the protocol asks.

    settle: called before a burst, by default `wait_until_idle`, so that each runs as it does alone,
    undisturbed by threads of the other that still spin. Rounds are at least `ROUNDS` unless the
    protocol's time limit cuts them short.
    """
    settle = settle or wait_until_idle
    rng, started = np.random.default_rng(0), clock()
    turns, rounds = (ours, theirs), (Rounds(), Rounds())
    share = 0.0
    while share < 1:
        for which in rng.permutation(2).tolist():
            settle()
            _at_least(UNTIMED, turns[which])
            rounds[which].append(_at_least(BURST, turns[which]))
        share = min(map(protocol.share, *zip(*map(extent, rounds), strict=True)))
        share = min(share, len(rounds[0]) / ROUNDS)
        if protocol.limit_s:
            share = max(share, (clock() - started) / protocol.limit_s)
        tell(min(1.0, share))
    return rounds


def extent(rounds: Rounds) -> tuple[int, float]:
    """How many detections were timed, and the seconds of all bursts."""
    return sum(map(len, rounds)), sum(map(span, rounds))


def ratio(ours: Rounds, theirs: Rounds, stage: Callable[[Shot], float]) -> Interval:
    """Our time over theirs: 0.8 is 20% less. The median over rounds of the medians' ratio.

    stage: takes a time out of a shot.
    """
    medians = (_medians(rounds, stage) for rounds in (ours, theirs))
    return median_interval(np.divide(*medians))


def wait_until_idle() -> None:
    """Sleep until this process uses next to no processor time; some runtimes' threads spin a while.

    Raises BadInput when it still does after two seconds: then the two would disturb each other.
    """
    give_up = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < give_up:
        before = time.process_time(), time.perf_counter()
        time.sleep(_NAP_S)
        used = time.process_time() - before[0]
        if used < _IDLE * (time.perf_counter() - before[1]):
            return
    raise BadInput(
        "threads of an engine never sleep and would disturb what is timed next; set "
        "OMP_WAIT_POLICY=passive, or measure each artefact on its own"
    )


def _at_least(count: int, turn: Turn) -> list[Shot]:
    shots: list[Shot] = []
    while len(shots) < count:
        shots += turn()
    return shots


def _medians(rounds: Sequence[Sequence[Shot]], stage: Callable[[Shot], float]) -> np.ndarray:
    return np.array([np.median([stage(shot) for shot in burst]) for burst in rounds])
