"""Rows made up, whole enough for `parse_row`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.bench.row import OK, SCHEMA, parse_row, row_text, write_row
from edge_passd.bench.statistics import REPLICATES, bounds, drift, spread, summary

PHOTOS = 60
CREATED = "2026-01-02T03:04:05+00:00"


def made_row(
    file: str = "animals.onnx",
    p50: float = 10.0,
    ap: float | None = 0.5,
    data: str = "animals val",
    images: int = 500,
    photos: int = PHOTOS,
    **changes: Any,
) -> dict[str, Any]:
    """A row with a median near p50 ms; changes: of keys, those of parts written part__key."""
    rng = np.random.default_rng(len(file))
    micro = {
        stage: np.rint(1000 * p50 * share * rng.uniform(0.95, 1.1, photos)).astype(int).tolist()
        for stage, share in (("pre", 0.1), ("infer", 0.8), ("post", 0.1))
    }
    total = np.sum([*micro.values()], axis=0) / 1000
    latency = {key: value * p50 / float(np.median(total)) for key, value in summary(total).items()}
    starts = np.concatenate([[0], np.cumsum(1000 * total)[:-1]]).astype(int).tolist()
    row = {
        "schema": SCHEMA, "status": OK, "reason": None, "created": CREATED,
        "model": "passd", "file": file, "model_sha256": "a" * 64, "model_bytes": 6_474_961,
        "precision": "int8", "engine": "onnxruntime", "classes": ["dog", "cat"],
        "input_size": 320, "target": None, "macs": None, "compiler": {}, "int8_share": 0.98,
        "parity": [
            {"engine": "onnxruntime", "photos": 100, "boxes": 0.004, "scores": 2e-5,
             "mean_box_error": 0.0001, "mean_score_error": 1e-6, "matched": 0.995}
        ],
        "training": {}, "versions": {"python": "3.11.7", "onnxruntime": "1.20"}, "threads": 2,
        "affinity": [0, 1], "others_cores": 0.1, "nms": "hard",
        "photos": {"source": "cat.jpg", "count": 1, "sizes": [[451, 300]], "detections": 1.0},
        "load_s": 0.2, "first_ms": 30.0,
        "protocol": {"rule": "default", "iterations": 100, "seconds": 10.0, "limit_s": 40.0,
                     "percentile": 50, "window_s": 0.5, "tolerance": 0.02},
        "warm_up": {"iterations": 50, "seconds": 1.5, "stable": True},
        "measured": {"iterations": photos, "seconds": 10.0, "complete": True},
        "latency_ms": latency,
        "stages_ms": {key: float(np.median(each)) / 1000 for key, each in micro.items()},
        "fps": 1000 / float(total.mean()), "spread": spread(total), "drift": drift(total),
        "cores_used": 1.9, "peak_rss_bytes": 150_000_000,
        "accuracy": None if ap is None else made_accuracy(ap, data, images),
        "baseline": None, "against": None,
        "board": {"kind": "raspberry-pi", "model": "Raspberry Pi 5", "cpu": "Cortex-A76",
                  "cores": 4, "memory_bytes": 8_000_000_000, "kernel": "6.6", "jetpack": None,
                  "clocks": {"governor": "performance"}, "clocks_locked": None},
        "thermal": {"start_c": 50.0, "end_c": 61.0, "max_c": 62.0, "cpu_mhz_min": 2400.0,
                    "cpu_mhz_max": 2400.0, "throttled": "no", "throttled_reason": "flags 0",
                    "timeline": {"time_s": [0.0, 0.5, 1.0], "celsius": [50.0, 55.5, 61.0],
                                 "cpu_mhz": [2400.0, 2400.0, 2400.0],
                                 "gpu_mhz": [None, None, None], "watts": [None, None, None]}},
        "power": {"status": "not asked for", "j_per_frame": None, "mean_w": None},
        "samples_us": {"at": starts, **micro},
    }  # fmt: skip
    for key, value in changes.items():
        part, _, inner = key.partition("__")
        if inner:
            row[part][inner] = value
        else:
            row[part] = value
    return parse_row(row_text(row), "a row of the tests")


def made_accuracy(ap: float, data: str, images: int) -> dict[str, Any]:
    noise = np.random.default_rng(1).normal(0, 0.01, REPLICATES)
    replicates = np.clip(ap + noise, 0, 1)
    return {
        "data": data, "data_sha256": hashlib.sha256(f"{data} {images}".encode()).hexdigest(),
        "images": images, "AP": ap, "AP50": min(1.0, 1.5 * ap), "AP75": ap, "AP_S": -1,
        "AP_M": ap, "AP_L": ap, "AP_interval": list(bounds(replicates)),
        "AP_replicates": replicates.tolist(),
    }  # fmt: skip


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    """The folder, with a file for each row."""
    for number, row in enumerate(rows):
        write_row(folder / f"{number:02}.json", row)
    return folder
