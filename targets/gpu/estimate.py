"""How long an inference would take on a GPU that nobody has at hand: an estimate, no measurement.

The roofline model: a launch takes as long as its memory traffic at the memory's full bandwidth, or
its arithmetic at full speed, whichever is longer, and launches do not overlap. Kernels reach
neither, and caches save traffic: only a measurement says by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_passd.errors import BadInput
from edge_passd.fields import is_size
from targets.gpu.board import Peak

# From the end of one kernel to the begin of the next, within a CUDA graph. An assumption.
LAUNCH_SECONDS = 2e-6


@dataclass(frozen=True)
class Work:
    """Of one launch. macs: multiply-accumulates. bytes: read and written in the GPU's memory."""

    macs: int
    bytes: int


@dataclass(frozen=True)
class Estimate:
    """In seconds. traffic, arithmetic, launching: each as if it were all. total: of the model."""

    traffic: float
    arithmetic: float
    launching: float
    total: float


def work_of(operators: Sequence[Mapping[str, Any]], where: str) -> tuple[Work, ...]:
    """The work of the operators in a manifest, one launch each; `where` names it in errors.

    Raises BadInput where one does not say its "macs" and "bytes".
    """
    for each in operators:
        for key in ("macs", "bytes"):
            if not is_size(each.get(key)):
                raise BadInput(
                    f"{where}: operator {each.get('name')!r} does not say its {key}; "
                    "compile the model for --target cuda with this edge-passd"
                )
    return tuple(Work(each["macs"], each["bytes"]) for each in operators)


def estimate(work: Sequence[Work], precision: str, peak: Peak) -> Estimate | None:
    """None where the GPU's arithmetic in that precision is not known."""
    speed = peak.arithmetic(precision)
    if speed is None:
        return None
    traffic = [each.bytes / (peak.bandwidth * 1e9) for each in work]
    arithmetic = [2 * each.macs / (speed * 1e12) for each in work]
    launching = len(work) * LAUNCH_SECONDS
    slower = (max(pair) for pair in zip(traffic, arithmetic, strict=True))
    return Estimate(sum(traffic), sum(arithmetic), launching, sum(slower) + launching)
