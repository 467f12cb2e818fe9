"""The gate after every compilation: does the bundle compute what the model's graph means?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from rich.console import Console
from rich.progress import Progress

from edge_passd.bundle import Manifest, write_bundle
from edge_passd.bundle.machine import this_machine
from edge_passd.engines.tvm import TvmEngine
from edge_passd.errors import BadInput
from edge_passd.parity import COMPILED_FLOAT_LIMITS, EXACT_INT8_LIMITS, compare
from targets.assemble import assemble
from targets.graph import Graph
from targets.reference import Reference
from targets.table import native_board
from targets.toolchain import find_linker


def check(
    path: Path, manifest: Manifest, model: onnx.ModelProto, graph: Graph,
    photos: Sequence[Path], console: Console,
) -> Mapping[str, Any]:  # fmt: skip
    """The parity record of the bundle at `path`; BadInput if it computes something else.

    The yardstick is `targets.reference`: integers to the last bit. A bundle for another machine
    cannot run here: the same operators, compiled for this one, are compared instead, and the
    record says so.
    """
    here = this_machine()
    target = manifest.target
    runs = target.machine == here.machine and {*target.features} <= (here.features or set())
    limits = COMPILED_FLOAT_LIMITS if manifest.precision == "fp32" else EXACT_INT8_LIMITS
    with tempfile.TemporaryDirectory() as folder, Progress(console=console, transient=True) as bars:
        bar = bars.add_task("checking against the graph", total=len(photos))
        if not runs:
            path = _twin(Path(folder, "twin.passd"), model, graph, manifest.precision)
        engine = TvmEngine(path)
        record = compare(Reference(model), engine, photos, limits, lambda: bars.advance(bar))
    if record.problem:
        raise BadInput(f"parity gate: {record.problem}; nothing was written")
    ran = "the bundle" if runs else f"the same operators, compiled for this {here.machine},"
    return {**record.to_dict(), "against": "the graph's exact arithmetic", "ran": ran}


def _twin(path: Path, model: onnx.ModelProto, graph: Graph, precision: str) -> Path:
    """A bundle of the same graph for this machine."""
    board = native_board()
    manifest, files = assemble(model, graph, board, precision, find_linker(board.machine), {})
    write_bundle(path, manifest, files)
    return path
