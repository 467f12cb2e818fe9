"""`edge-passd bench`: one artefact on this machine, from loading it to a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from edge_passd.bench.accuracy import (
    accuracy,
    ap_difference,
    data_sha256,
    require_objects,
    require_same_data,
)
from edge_passd.bench.against import ratio
from edge_passd.bench.artefact import Candidate, candidate, identity, origin, versions
from edge_passd.bench.latency import latency, samples_us
from edge_passd.bench.measure import Loaded, load
from edge_passd.bench.photos import Photos, load_photos
from edge_passd.bench.process import affinity, others_cores
from edge_passd.bench.progress import Step, progress
from edge_passd.bench.protocol import DEFAULT, Protocol
from edge_passd.bench.row import OK, SCHEMA, read_row, row_text, write_row
from edge_passd.bench.table import summary_table
from edge_passd.bench.timing import Timed, heat_and_power, time_artefact, watch_idle
from edge_passd.board import identify, read_clocks
from edge_passd.detector import default_model
from edge_passd.engines.table import AUTO
from edge_passd.errors import BadInput
from edge_passd.evaluation import detect_all, require_classes, require_pycocotools
from edge_passd.files import require_writable
from edge_passd.samples import DataSet
from edge_passd.sinks.json_lines import STDOUT


@dataclass(frozen=True)
class BenchOptions:
    """What the user asked for.

    model: None is the model that ships with the package. engine to allow_saturation: as in
    `Detector`; a `Candidate` in place of a path brings its own engine and NMS.
    photo: a photo or a folder, None is the cat that comes along.
    power: measure energy, and the idle machine before, for what detecting adds.
    against: another artefact, to be measured in turn; against_engine: its engine.
    baseline: the row of an artefact whose AP this one's is compared with.
    json: a file, or "-" for standard output.
    """

    model: Path | Candidate | None = None
    engine: str = AUTO
    threads: int | None = None
    soft_nms: bool = False
    allow_saturation: bool = False
    photo: Path | None = None
    power: bool = False
    protocol: Protocol = DEFAULT
    against: Path | Candidate | None = None
    against_engine: str = AUTO
    baseline: Path | None = None
    json: str | None = None


def bench(
    options: BenchOptions,
    data: DataSet | None,
    console: Console,
    steps: Callable[[Console], AbstractContextManager[Step]] = progress,
) -> dict[str, Any]:
    """Measure, print the table, write the row; returns the row.

    data: measures accuracy too; None for speed alone. steps: shows what is being done.
    Raises BadInput as `Detector` and `evaluation.evaluate` do, and for a baseline that is no row or
    of another data set.
    """
    if options.json and options.json != STDOUT:
        require_writable(Path(options.json))
    chosen = _candidate(options.model or default_model(), options.engine, options)
    rival = (
        _candidate(options.against, options.against_engine, options) if options.against else None
    )
    photos, baseline = _prepare(options, data)
    others = others_cores()
    with steps(console) as step:
        if options.power:
            step("watching the idle machine")
        idle = watch_idle() if options.power else None
        step("loading")

        def start(which: Candidate) -> Loaded:
            return _load(which, options.threads, photos.images, data)

        ours = start(chosen)
        timed = time_artefact(
            ours,
            (lambda: start(rival)) if rival else None,
            photos.images,
            options.protocol,
            options.power,
            step,
        )
        found = _accuracy(ours, data, step)
        other_found = _accuracy(timed.other.loaded, data, step) if timed.other else None
    row = {
        "schema": SCHEMA,
        "status": OK,
        "reason": None,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **identity(ours.detector, chosen),
        **origin(ours.detector, chosen.path),
        "versions": versions(ours.detector.engine, chosen.library),
        "threads": options.threads,
        "affinity": affinity(),
        "others_cores": others,
        "nms": "soft" if options.soft_nms else "hard",
        "photos": {**photos.to_dict(), "detections": ours.detections},
        "load_s": ours.load_s,
        "first_ms": 1000 * ours.first_s,
        **_speed(timed, options.protocol),
        "accuracy": found,
        "baseline": _compared(baseline, found),
        "against": _against(timed, rival, found, other_found),
        "board": {**identify().to_dict(), "clocks": read_clocks().to_dict()},
        **heat_and_power(timed, idle),
        "samples_us": samples_us(timed.shots),
    }
    if options.json == STDOUT:
        print(row_text(row), end="")
    elif options.json:
        write_row(Path(options.json), row)
    console.print(summary_table(row))
    return row


def _candidate(model: Path | Candidate, engine: str, options: BenchOptions) -> Candidate:
    if isinstance(model, Candidate):
        return model
    return candidate(model, engine, options.soft_nms, options.allow_saturation)


def _prepare(options: BenchOptions, data: DataSet | None) -> tuple[Photos, dict[str, Any] | None]:
    """Photos and the baseline's row; what can be wrong is found before the minute of measuring."""
    if data:
        require_pycocotools()
        require_objects(data)
    return load_photos(options.photo), _read_baseline(options.baseline, data)


def _speed(timed: Timed, protocol: Protocol) -> dict[str, Any]:
    return {
        "protocol": asdict(protocol),
        "warm_up": asdict(timed.warm_up),
        "measured": {
            "iterations": len(timed.shots),
            "seconds": timed.seconds,
            "complete": protocol.is_complete(len(timed.shots), timed.seconds),
        },
        **latency(samples_us(timed.shots)),
        "cores_used": timed.cores_used,
        "peak_rss_bytes": timed.peak_rss_bytes,
    }


def _load(
    chosen: Candidate,
    threads: int | None,
    images: Sequence[np.ndarray],
    data: DataSet | None,
) -> Loaded:
    loaded = load(lambda: chosen.open(threads), images)
    if data:
        require_classes(loaded.detector, data)
    return loaded


def _accuracy(loaded: Loaded, data: DataSet | None, step: Step) -> dict[str, Any] | None:
    if data is None:
        return None
    tell = step(f"{loaded.detector.info.name} on {data.name}")
    found = detect_all(loaded.detector, data, lambda done: tell(done / len(data.samples)))
    return accuracy(found, data)


def _read_baseline(path: Path | None, data: DataSet | None) -> dict[str, Any] | None:
    """The row's, with the accuracy that this run's can be compared with."""
    if path is None:
        return None
    row = read_row(path)
    if data is None or row["status"] != OK or row["accuracy"] is None:
        lacks = "--baseline needs --data DIR" if data is None else f"{path} holds no accuracy"
        raise BadInput(f"{lacks}; measure it with `edge-passd bench --data DIR`")
    require_same_data(data.name, data_sha256(data), row["accuracy"])
    return row


def _compared(
    baseline: Mapping[str, Any] | None, found: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if baseline is None or found is None:
        return None
    keys = ("model", "file", "model_sha256", "precision", "engine")
    return {
        **{key: baseline[key] for key in keys},
        "AP": baseline["accuracy"]["AP"],
        "AP_difference": ap_difference(found, baseline["accuracy"])._asdict(),
    }


def _against(
    timed: Timed,
    rival: Candidate | None,
    found: Mapping[str, Any] | None,
    other_found: dict[str, Any] | None,
) -> dict[str, Any] | None:
    if rival is None or timed.other is None:
        return None
    difference = None
    if found is not None and other_found is not None:
        difference = ap_difference(found, other_found)._asdict()
    ours, theirs = timed.other.rounds
    samples = samples_us([shot for burst in theirs for shot in burst])
    return {
        **identity(timed.other.loaded.detector, rival),
        "warm_up": asdict(timed.other.warm_up),
        **latency(samples),
        "rounds": len(ours),
        "ratio": ratio(ours, theirs, lambda shot: shot.seconds)._asdict(),
        "infer_ratio": ratio(ours, theirs, lambda shot: shot.infer)._asdict(),
        "accuracy": other_found,
        "AP_difference": difference,
        "samples_us": samples,
    }
