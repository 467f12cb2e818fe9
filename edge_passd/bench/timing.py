"""The part of a benchmark during which the clock runs, with the machine watched meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_passd.bench.against import Rounds, extent, take_turns
from edge_passd.bench.measure import Loaded, Shot, turn_of
from edge_passd.bench.process import peak_rss_bytes
from edge_passd.bench.progress import Step
from edge_passd.bench.protocol import Protocol, WarmUp, collect, span, warm_up
from edge_passd.board import Record, Sampler, summarise

IDLE_S = 5.0


@dataclass(frozen=True)
class Other:
    """The second of two artefacts. rounds: of the first and of this one."""

    loaded: Loaded
    warm_up: WarmUp
    rounds: tuple[Rounds, Rounds]


@dataclass(frozen=True)
class Timed:
    """What the clock said of an artefact.

    seconds: in which its shots were made. cores_used: on average, None where two took turns.
    peak_rss_bytes: after the warm-up, before anything else is loaded. board: the machine meanwhile.
    """

    warm_up: WarmUp
    shots: Sequence[Shot]
    seconds: float
    cores_used: float | None
    peak_rss_bytes: int | None
    board: Record
    other: Other | None = None


def time_artefact(
    ours: Loaded,
    load_other: Callable[[], Loaded] | None,
    images: Sequence[np.ndarray],
    protocol: Protocol,
    power: bool,
    step: Step,
) -> Timed:
    """Warm up, then measure, in turn with the other one if there is one.

    The other is loaded when the first is warm: its memory does not count. power: watch that too.
    """
    turn = turn_of(ours.detector, images)
    warm = warm_up(turn, protocol, tell=step("warm-up"))
    peak = peak_rss_bytes()
    if load_other is None:
        tell = step("measuring")
        with Sampler(power=power) as sampler:
            used, started = time.process_time(), time.perf_counter()
            shots = collect(turn, protocol, tell)
            cores = (time.process_time() - used) / (time.perf_counter() - started)
        return Timed(warm, shots, span(shots), cores, peak, sampler.record)
    other = load_other()
    theirs = turn_of(other.detector, images)
    their_warm_up = warm_up(theirs, protocol, tell=step("warm-up of the other"))
    tell = step("measuring both in turn")
    with Sampler(power=power) as sampler:
        rounds = take_turns(turn, theirs, protocol, tell=tell)
    shots = [shot for burst in rounds[0] for shot in burst]
    seconds = extent(rounds[0])[1]
    return Timed(
        warm, shots, seconds, None, peak, sampler.record, Other(other, their_warm_up, rounds)
    )


def watch_idle() -> Record:
    """The machine when nothing is done, to tell what detecting adds."""
    with Sampler() as sampler:
        time.sleep(IDLE_S)
    return sampler.record


def heat_and_power(timed: Timed, idle: Record | None) -> dict[str, Any]:
    """The row's "thermal", with a time line that starts with the first shot, and its "power"."""
    summary = summarise(timed.board, None if timed.other else len(timed.shots), idle)
    timeline = timed.board.timeline()
    offset = timed.shots[0].at - timed.board.start_s
    times = [round(sample.time_s - offset, 3) for sample in timed.board.samples]
    return {
        "thermal": {
            **summary.thermal.to_dict(),
            "sampler_load": round(summary.sampler_load, 4),
            "timeline": {**timeline, "time_s": times},
        },
        "power": summary.power.to_dict(),
    }
