"""The row's samples of one artefact, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_passd.bench.measure import Shot
from edge_passd.bench.statistics import drift, spread, summary

STAGES = ("pre", "infer", "post")


def samples_us(shots: Sequence[Shot]) -> dict[str, list[int]]:
    """Every shot in whole microseconds: at, since the first one started, and the stages."""
    rows = np.array(shots)
    rows[:, 0] -= rows[0, 0]
    columns = np.rint(1e6 * rows).astype(np.int64).T.tolist()
    return dict(zip(Shot._fields, columns, strict=True))


def latency(samples: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Of what `samples_us` gives.

    latency_ms: from an image in memory to its detections; stages_ms: medians; fps: one photo after
    another; spread, drift: of the latency, see `statistics`.
    """
    stages = {key: np.array(samples[key]) / 1000 for key in STAGES}
    whole = np.sum([*stages.values()], axis=0)
    return {
        "latency_ms": summary(whole),
        "stages_ms": {key: float(np.median(each)) for key, each in stages.items()},
        "fps": 1000 / float(whole.mean()),
        "spread": spread(whole),
        "drift": drift(whole),
    }
