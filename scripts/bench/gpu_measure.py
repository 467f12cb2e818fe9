"""Checks and times what `gpu_build` made, where there is a GPU; resumes where it was stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from bench.gpu_clock import Timer, best_settings, take_turns
from bench.gpu_correct import batches, check, error_of, inputs_of
from bench.gpu_floors import ceilings, floors
from bench.gpu_folder import Index, Variant, read_arrays, read_index, weights_name
from bench.gpu_offset import timers as offset_timers
from bench.gpu_peers import PEERS, Peer, peer, torch_model
from bench.offset_case import offset_case
from bench.rounds import interleave, quartiles, ratios
from bench.tables import OURS
from edge_passd.bundle import read_manifest
from edge_passd.engines.base import OUTPUTS
from edge_passd.engines.cuda import CudaEngine
from edge_passd.engines.cuda_driver import this_gpu, version_name
from edge_passd.files import read_json, write_text
from edge_passd.model_info import ModelInfo

OURS_INT8 = f"{OURS}, int8"
TIMES = 10  # an operator, or a few, in one graph: alone it is too short to be timed
Step: TypeAlias = "tuple[str, Callable[[], None]]"
Infer: TypeAlias = "Callable[[np.ndarray], object]"

LATE = 150.0  # seconds that compiling with torch.compile may take, unless a longer time was seen


@dataclass
class Session:
    """seconds: in which it must be done. result: goes to `json_file` after each step."""

    folder: Path
    json_file: Path
    device: str
    rounds: int
    burst: int
    seconds: float
    result: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    slowest: float = LATE

    @property
    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.started)

    def save(self) -> None:
        write_text(self.json_file, json.dumps(self.result, indent=1) + "\n")

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.result.setdefault(table, [])

    def lacks(self, table: str, **key: Any) -> bool:
        """Whether no row has these values."""
        return not any(all(row[k] == v for k, v in key.items()) for row in self.rows(table))


def measure(session: Session) -> Iterator[str]:
    """Everything that `session.result` lacks, until time is up; says what it does as it goes.

    Raises BadInput for a folder that is none, a machine without a GPU, or a bundle that does not
    load.
    """
    index = read_index(session.folder)
    if session.json_file.exists():
        session.result = read_json(session.json_file)
    gpu = this_gpu()
    session.result |= {
        "date": date.today().isoformat(),
        "built": index.date,
        "gpu": gpu.name,
        "cuda": version_name(gpu.driver),
        "versions": _versions(),
        "size": index.size,
        "rounds": session.rounds,
        "burst": session.burst,
    }
    images = inputs_of(session.folder, index)
    with best_settings():
        for step, work in _steps(session, index, images):
            if session.left <= 0:
                yield f"time is up before {step}; run it again to go on"
                return
            yield step
            work()
            session.save()


def _versions() -> dict[str, str]:
    known = ("torch", "torchvision", "triton")
    return {name: version(name) for name in known if find_spec(name)}


def _steps(session: Session, index: Index, images: list[np.ndarray]) -> Iterator[Step]:
    """What matters most first; for each step its name."""
    for variant in index.variants:
        if session.lacks("correctness", name=variant.name):
            yield f"checking {variant.name}", partial(_check, session, variant, index, images)
    if "ceilings" not in session.result:
        yield "ceilings", lambda: session.result.update(ceilings=ceilings(session.device))
    main = [each for each in index.variants if each.board == index.board]
    floats = sorted(
        (each for each in main if each.precision != "int8"),
        key=lambda each: (each.precision != "fp16", each.batch, main.index(each)),
    )
    for each in floats:
        if each.batch == 1 and session.lacks(
            "offset_convolution", classes=each.classes, precision=each.precision
        ):
            yield f"offset convolution of {each.name}", partial(_offset, session, each, images)
    for each in main:
        if each.batch == 1 and session.lacks("operators", name=each.name):
            yield f"operators of {each.name}", partial(_operators, session, each, images)
    for each in floats:
        key = {"classes": each.classes, "precision": each.precision, "batch": each.batch}
        if session.lacks("latency", **key):
            yield f"latency of {each.name}", partial(_latency, session, index, each, images)


def _engine(session: Session, variant: Variant) -> CudaEngine:
    return CudaEngine(session.folder / variant.bundle)


def _rows_of(session: Session, variant: Variant) -> Sequence[Mapping[str, Any]]:
    return read_manifest(session.folder / variant.bundle).operators


def _check(session: Session, variant: Variant, index: Index, images: list[np.ndarray]) -> None:
    engine = _engine(session, variant)
    row = check(engine, variant, session.folder, index, images)
    engine.close()
    session.rows("correctness").append(row)


def _ours(
    engine: CudaEngine, images: list[np.ndarray], operators: Sequence[int], times: int = 1
) -> Timer:
    """Of launches alone, `times` over in one graph; each turn has another input."""
    turns = cycle(batches(images, engine.batch))
    return lambda runs: engine.time_graph(next(turns), runs, [*operators] * times) / times


def _operators(session: Session, variant: Variant, images: list[np.ndarray]) -> None:
    """Each operator alone, over and over: what it reads is in the cache, as within a model."""
    engine, rows = _engine(session, variant), _rows_of(session, variant)
    timers = {str(i): _ours(engine, images, [i], TIMES) for i in range(len(rows))}
    seconds = take_turns(timers, session.rounds, 1)
    engine.close()
    found = session.result["ceilings"]
    operators = [
        {
            "name": row["name"],
            "kind": row["kind"],
            "microseconds": quartiles(1e6 * seconds[str(i)]),
            "floor_us": 1e3 * floors([row], variant.precision, found)["floor"],
        }
        for i, row in enumerate(rows)
    ]
    session.rows("operators").append({"name": variant.name, "operators": operators})


def _offset(session: Session, variant: Variant, images: list[np.ndarray]) -> None:
    engine, rows = _engine(session, variant), _rows_of(session, variant)
    torch.compiler.reset()
    case = offset_case(variant.classes, session.result["size"])
    timers = {
        OURS: _ours(engine, images, variant.attend, TIMES),
        **offset_timers(case, variant.precision, session.device),
    }
    seconds = take_turns(timers, session.rounds, session.burst)
    engine.close()
    ours = [rows[number] for number in variant.attend]
    session.rows("offset_convolution").append(
        {
            "classes": variant.classes,
            "precision": variant.precision,
            **_compared(seconds),
            "floors": floors(ours, variant.precision, session.result["ceilings"]),
        }
    )


def _latency(session: Session, index: Index, variant: Variant, images: list[np.ndarray]) -> None:
    """Ours in this precision, and in int8 beside float16, with PyTorch's forms."""
    ours = {OURS: variant}
    int8 = index.find(variant.classes, "int8", variant.batch)
    if int8 and variant.precision == "fp16":
        ours[OURS_INT8] = int8
    engines = {name: _engine(session, each) for name, each in ours.items()}
    numbers = {name: range(len(_rows_of(session, each))) for name, each in ours.items()}
    timers = {name: _ours(each, images, numbers[name]) for name, each in engines.items()}
    whole: dict[str, Infer] = {name: each.run for name, each in engines.items()}
    inputs = batches(images, variant.batch)
    row: dict[str, Any] = {
        "classes": variant.classes,
        "precision": variant.precision,
        "batch": variant.batch,
        "floors": floors(_rows_of(session, variant), variant.precision, session.result["ceilings"]),
    }
    info = ModelInfo.from_json(engines[OURS].metadata, variant.name)
    for name, made in _peers(session, variant, info, inputs[0], row).items():
        timers[name], whole[name] = made.timer(inputs), made.infer
    row |= _compared(take_turns(timers, session.rounds, session.burst))
    turns = {name: _in_turn(run, inputs) for name, run in whole.items()}
    wall = interleave(turns, max(1, session.rounds // 3), session.burst)
    row["end_to_end"] = _compared(wall)
    for each in engines.values():
        each.close()
    session.rows("latency").append(row)


def _peers(
    session: Session, variant: Variant, info: ModelInfo, image: np.ndarray, row: dict[str, Any]
) -> dict[str, Peer]:
    """PyTorch's forms of a variant, by name; what else there is to say of them goes into `row`.

    peer_errors: relative, of boxes and scores of the first photo. compile_seconds. skipped: for
    want of time.
    """
    answers = read_arrays(session.folder / variant.answers)
    weights = read_arrays(session.folder / weights_name(variant.classes))
    module = torch_model(info, weights, variant.precision, session.device)
    torch.compiler.reset()  # it compiles no more than a few models of one class
    row |= {"peer_errors": {}, "compile_seconds": {}, "skipped": []}
    made = {}
    for name, (mode, _) in PEERS.items():
        if mode and session.left < session.slowest:
            row["skipped"].append(name)
            continue
        before = time.monotonic()
        made[name] = peer(module, name, image.shape, session.device)
        row["compile_seconds"][name] = time.monotonic() - before
        session.slowest = max(session.slowest, row["compile_seconds"][name])
        row["peer_errors"][name] = [
            error_of(found[0], answers[output][0])
            for output, found in zip(OUTPUTS, made[name].infer(image), strict=True)
        ]
    return made


def _in_turn(run: Infer, inputs: list[np.ndarray]) -> Callable[[], object]:
    turns = cycle(inputs)
    return lambda: run(next(turns))


def _compared(seconds: dict[str, np.ndarray]) -> dict[str, Any]:
    """Milliseconds of each, and ours to each of the others."""
    return {
        "milliseconds": {name: quartiles(1e3 * each) for name, each in seconds.items()},
        "ratio": {
            name: quartiles(ratios(seconds[OURS], each))
            for name, each in seconds.items()
            if name != OURS
        },
    }
