"""What one inference costs on an ARM board, in executed instructions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arm.emulator import ROOT, Finished, run_python
from arm.functions import executed_by_function
from edge_passd.bundle import read_bundle
from edge_passd.model_info import ModelInfo

PHOTO = ROOT / "docs" / "images" / "chelsea.png"

_REPEAT = Path(__file__).with_name("repeat.py")


@dataclass(frozen=True)
class Cost:
    """Of one inference. executed: instructions.

    functions: those of them that were in each function of a bundle's library, the dearest first;
    what remains was outside, in the engine, the C library and Python.
    operators: what the bundle says of its own.
    """

    file: Path
    engine: str
    model: ModelInfo
    executed: int
    functions: Mapping[str, int]
    operators: tuple[Mapping[str, Any], ...]


def cost(model: Path, cpu: str, times: int = 1) -> Cost:
    """Of one inference on one thread: the mean of `times`, after a first that does not count.

    model: a file that an engine for ARM takes. cpu: one of `emulator.CPUS`.
    Raises BadInput for a bundle that cannot be read or an ARM system that is not there, and
    ChildProcessError, with what the engine says, for a model that it cannot run.
    """
    bundle = read_bundle(model) if model.suffix == ".passd" else None
    # Not counted: Python compiles what it imports for the first time.
    _run(model, cpu, 0, count=False)
    # Loading, and what the first inference does once and for all, such as to pack the weights.
    before = _run(model, cpu, 1)
    after = _run(model, cpu, 1 + times)
    report = json.loads(after.stdout)
    functions = {}
    if bundle:
        library = bundle.files[bundle.manifest.plan.library]
        difference = _by_function(after, library)
        difference.subtract(_by_function(before, library))
        functions = {name: n // times for name, n in difference.most_common() if n > 0}
    return Cost(
        model,
        report["engine"],
        ModelInfo.from_json(report["model"], str(model)),
        (after.executed - before.executed) // times,
        functions,
        bundle.manifest.operators if bundle else (),
    )


def _run(model: Path, cpu: str, times: int, count: bool = True) -> Finished:
    return run_python([_REPEAT, model.absolute(), PHOTO, str(times)], cpu, count)


def _by_function(finished: Finished, library: bytes) -> Counter[str]:
    start = int(json.loads(finished.stdout)["address"], 16)
    return executed_by_function(finished.blocks, start, library)
