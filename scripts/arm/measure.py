"""What one inference costs on an ARM board, in executed instructions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from arm.emulator import ROOT, run_python
from edge_passd.bundle import read_bundle
from edge_passd.model_info import ModelInfo

PHOTO = ROOT / "docs" / "images" / "chelsea.png"

_INFER = Path(__file__).with_name("infer.py")
_BUNDLE = ".passd"


@dataclass(frozen=True)
class Cost:
    """Of one inference. executed: instructions.

    operators: of a bundle, in the order in which they run: what it says of each (name, kind,
    macs), and how many instructions it executed.
    """

    file: Path
    engine: str
    model: ModelInfo
    executed: int
    operators: tuple[Mapping[str, Any], ...]


def cost(model: Path, cpu: str, times: int = 1) -> Cost:
    """Of one inference on one thread: the mean of `times`, after a first that does not count.

    The first packs weights and makes room. model: a file that an engine for ARM takes. cpu: one of
    `emulator.CPUS`. Raises BadInput for a bundle that cannot be read or an ARM system that is not
    there, ChildProcessError with what the engine says for a model that it cannot run.
    """
    known = read_bundle(model).manifest.operators if model.suffix == _BUNDLE else ()
    done = run_python([_INFER, model.absolute(), PHOTO, str(times)], cpu, count=True)
    report = json.loads(done.stdout)
    executed = [after - before for before, after in pairwise(done.counts)]
    whole, calls = executed[:times], executed[times:]
    return Cost(
        model,
        report["engine"],
        ModelInfo.from_json(report["model"], str(model)),
        sum(whole) // times,
        # The second call, of no operator, is the price of calling. Last of all the program ends.
        tuple(
            {**operator, "executed": max(0, call - calls[1])}
            for operator, call in zip(known, calls[2:], strict=False)
        ),
    )
