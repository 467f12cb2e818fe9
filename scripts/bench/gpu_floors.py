"""What this GPU can do at best, measured, and how long a model takes at that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bench.gpu_clock import Run, captured, device_seconds
from targets.gpu.board import Peak
from targets.gpu.estimate import LAUNCH_SECONDS, estimate, work_of

_COPIED = {"cuda": 1 << 31, "cpu": 1 << 20}  # bytes, many times a cache
_SIDE = {"cuda": 8192, "cpu": 64}  # of the matrices that are multiplied
_LAUNCHES = 200
_RUNS = 10


def ceilings(device: str) -> dict[str, float]:
    """GB/s of a large copy, read and written; 10^12 operations a second of a large product of
    matrices, by precision; microseconds from launch to launch within a graph."""
    small = torch.zeros(32, device=device)
    graph = captured(device, lambda: small.add_(1), _LAUNCHES)
    return {
        "bandwidth": _copying(device),
        "launch_us": 1e6 * _median(device, graph) / _LAUNCHES,
        **{each: _products(device, each) for each in ("fp32", "fp16", "int8")},
    }


def _copying(device: str) -> float:
    source = torch.randint(0, 255, (_COPIED[device],), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _median(device, lambda: target.copy_(source)) / 1e9


def _products(device: str, precision: str) -> float:
    side = _SIDE[device]
    if precision == "int8":
        a, b = (
            torch.randint(-127, 127, (side, side), dtype=torch.int8, device=device)
            for _ in range(2)
        )
        seconds = _median(device, lambda: torch._int_mm(a, b.t()))
    else:
        dtype = {"fp32": torch.float32, "fp16": torch.float16}[precision]
        x, y = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        seconds = _median(device, lambda: x @ y)
    return 2 * side**3 / seconds / 1e12


def _median(device: str, run: Run) -> float:
    device_seconds(device, run, 3)
    return float(np.median(device_seconds(device, run, _RUNS)))


def floors(
    operators: Sequence[Mapping[str, Any]], precision: str, found: Mapping[str, float]
) -> dict[str, float]:
    """Milliseconds of a manifest's operators at these ceilings.

    traffic, arithmetic: as if each were all. floor: of each operator the longer of the two, summed.
    launches: what an empty launch takes, for each; it may overlap with the rest.
    """
    peak = Peak(found["bandwidth"], found["fp32"], found["fp16"], found["int8"])
    told = estimate(work_of(operators, "the bundle"), precision, peak)
    assert told is not None
    floor = told.total - LAUNCH_SECONDS * len(operators)
    return {
        "traffic": 1e3 * told.traffic,
        "arithmetic": 1e3 * told.arithmetic,
        "floor": 1e3 * floor,
        "launches": 1e-3 * found["launch_us"] * len(operators),
    }
