"""Several things timed side by side in one process, so that a change of the machine's speed hits
all of them, and none is disturbed by the threads of another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from edge_passd.bench.against import UNTIMED, wait_until_idle


def interleave(
    runs: Mapping[str, Callable[[], object]], rounds: int, burst: int
) -> dict[str, np.ndarray]:
    """Seconds of each run: for each name a (rounds, burst) array.

    In a round each takes one turn, in an order that is drawn anew each round. A turn waits until
    every thread of this process sleeps (onnxruntime's spin for some 40 ms after a run, and would
    take a core from the next), runs twice without being timed, then `burst` times. So each library
    runs as it does alone on a stream of frames, its own spinning included.
    """
    rng = np.random.default_rng(0)
    names = list(runs)
    seconds = {name: np.zeros((rounds, burst)) for name in names}
    for number in range(rounds):
        for name in rng.permutation(names).tolist():
            wait_until_idle()
            for _ in range(UNTIMED):
                runs[name]()
            for turn in range(burst):
                started = time.perf_counter()
                runs[name]()
                seconds[name][number, turn] = time.perf_counter() - started
    return seconds


def quartiles(values: np.ndarray) -> list[float]:
    """The 25th, 50th and 75th percentile of an array of any shape."""
    return np.percentile(values, [25, 50, 75]).tolist()


def ratios(seconds: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(rounds,): median of a burst over the other's median in the same round; 0.8 is 20% less."""
    return np.median(seconds, axis=1) / np.median(others, axis=1)
