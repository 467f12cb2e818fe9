"""Seconds that a GPU takes, of several things in turn; PyTorch's side of it.

Everything runs on a processor too, device "cpu", to see that it works where no GPU is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from torch.autograd import DeviceType

from edge_passd.bench.against import UNTIMED

Run: TypeAlias = Callable[[], object]
Timer: TypeAlias = Callable[[int], np.ndarray]  # so many runs; (runs,) seconds of each

BEFORE_CAPTURE = 3  # runs: what is allocated or chosen at first use cannot be in a capture


def take_turns(timers: Mapping[str, Timer], rounds: int, burst: int) -> dict[str, np.ndarray]:
    """Seconds of each: for each name a (rounds, burst) array.

    In a round each takes one turn, in an order that is drawn anew; its first runs do not count.
    """
    rng = np.random.default_rng(0)
    names = list(timers)
    seconds = {name: np.zeros((rounds, burst)) for name in names}
    for number in range(rounds):
        for name in rng.permutation(names).tolist():
            seconds[name][number] = timers[name](UNTIMED + burst)[UNTIMED:]
    return seconds


def device_seconds(device: str, run: Run, runs: int) -> np.ndarray:
    """(runs,): by events on the GPU's current stream, one run after another without a pause."""
    if device == "cpu":
        marks = [time.perf_counter()]
        for _ in range(runs):
            run()
            marks.append(time.perf_counter())
        return np.diff(marks)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(runs + 1)]
    torch.cuda.synchronize()
    events[0].record()
    for event in events[1:]:
        run()
        event.record()
    torch.cuda.synchronize()
    return np.array([before.elapsed_time(after) / 1e3 for before, after in pairwise(events)])


def kernel_seconds(device: str, run: Run, runs: int) -> np.ndarray:
    """(runs,), all the same: the GPU's kernels and copies alone, without what is between them.

    For what cannot be captured. By PyTorch's profiler; RuntimeError if that sees none of them.
    """
    if device == "cpu":
        return device_seconds(device, run, runs)
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(runs):
            run()
        torch.cuda.synchronize()
    events = [each for each in profile.events() or () if each.device_type == DeviceType.CUDA]
    if not events:
        raise RuntimeError("PyTorch's profiler sees nothing of the GPU: is CUPTI installed?")
    total = sum(each.time_range.elapsed_us() for each in events) / 1e6
    return np.full(runs, total / runs)


def captured(device: str, run: Run, times: int = 1) -> Run:
    """The same as one CUDA graph that does it so often; what it writes stays where it is."""

    def all_times() -> None:
        for _ in range(times):
            run()

    if device == "cpu":
        return all_times
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(BEFORE_CAPTURE):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        all_times()
    return graph.replay


def wait(device: str) -> None:
    """Until the GPU has done everything."""
    if device != "cpu":
        torch.cuda.synchronize()


@contextmanager
def best_settings() -> Iterator[None]:
    """PyTorch at its fastest that still computes in float32 what it says: without TF32."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    with torch.no_grad():
        yield
