"""How long is measured: a warm-up until times are stable, then iterations *and* seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_passd.bench.measure import Clock, Shot, Turn

Tell = Callable[[float], object]  # takes the share that is done, 0-1


@dataclass(frozen=True)
class Protocol:
    """The rules of a measurement.

    rule: its name. iterations, seconds: at least as many, and at least as long.
    limit_s: then it ends all the same; None for never.
    percentile: of the latency, the one that the rule reports.
    window_iterations, window_s: what a warm-up window has at least. The warm-up ends when the
    medians of two windows in a row differ by no more than `tolerance`, or after warm_up_limit_s.
    """

    rule: str = "default"
    iterations: int = 100
    seconds: float = 10.0
    limit_s: float | None = 40.0
    percentile: int = 50
    window_iterations: int = 10
    window_s: float = 0.5  # longer than a clock governor takes to make up its mind
    tolerance: float = 0.02
    warm_up_limit_s: float = 15.0

    def is_complete(self, iterations: int, seconds: float) -> bool:
        """Whether so much satisfies the rule."""
        return iterations >= self.iterations and seconds >= self.seconds

    def share(self, iterations: int, seconds: float) -> float:
        """How much of the measurement is done, 0-1; 1 when it is to end."""
        if self.is_complete(iterations, seconds):
            return 1.0
        of_limit = seconds / self.limit_s if self.limit_s else 0.0
        of_seconds = seconds / self.seconds if self.seconds else 1.0
        return min(1.0, max(of_limit, min(iterations / self.iterations, of_seconds)))


DEFAULT = Protocol()
# MLPerf Inference, single stream: at least 1,024 queries and a minute, the 90th percentile.
MLPERF = Protocol("mlperf single stream", 1024, 60.0, None, 90)


@dataclass(frozen=True)
class WarmUp:
    """A warm-up that was. stable: it ended by the rule, not by its time limit."""

    iterations: int
    seconds: float
    stable: bool


def warm_up(
    turn: Turn, protocol: Protocol, clock: Clock = time.perf_counter, tell: Tell = lambda share: 0
) -> WarmUp:
    """Take turns until the protocol says that times are stable."""
    started = clock()
    iterations, previous = 0, float("inf")
    while True:
        window_started, window = clock(), list[float]()
        while (
            len(window) < protocol.window_iterations or clock() - window_started < protocol.window_s
        ):
            window += [shot.seconds for shot in turn()]
            passed = clock() - started
            is_over = passed >= protocol.warm_up_limit_s
            tell(1.0 if is_over else passed / protocol.warm_up_limit_s)
            if is_over:
                return WarmUp(iterations + len(window), passed, False)
        iterations += len(window)
        median = float(np.median(window))
        if abs(median - previous) <= protocol.tolerance * median:
            return WarmUp(iterations, clock() - started, True)
        previous = median


def collect(turn: Turn, protocol: Protocol, tell: Tell = lambda share: 0) -> list[Shot]:
    """Take turns until the protocol has enough, at least one."""
    shots, share = list[Shot](), 0.0
    while share < 1:
        shots += turn()
        share = protocol.share(len(shots), span(shots))
        tell(share)
    return shots


def span(shots: Sequence[Shot]) -> float:
    """Seconds from the start of the first detection to the end of the last."""
    return shots[-1].at + shots[-1].seconds - shots[0].at
