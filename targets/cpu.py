"""Bundles for processors: targets arm and x86."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from rich.console import Console

from edge_passd.bundle import Manifest, write_bundle
from edge_passd.bundle.machine import this_machine
from edge_passd.engines.tvm import TvmEngine
from edge_passd.parity import COMPILED_FLOAT_LIMITS, EXACT_INT8_LIMITS
from targets.assemble import assemble
from targets.backend import Made
from targets.dump import Dump
from targets.gate import check
from targets.graph import Graph
from targets.runtime_libraries import runtime_libraries
from targets.table import choose_board, native_board
from targets.toolchain import find_linker

_LIMITS = {"int8": EXACT_INT8_LIMITS, "fp32": COMPILED_FLOAT_LIMITS}


class CpuBackend:
    """See `targets.backend.Backend`. runtime: whether bundles carry TVM's runtime libraries."""

    precisions: Mapping[str, Sequence[str]] = {"int8": ("int8",), "fp32": ("fp32",)}

    def __init__(self, target: str, board: str | None, runtime: bool) -> None:
        self.board = choose_board(target, board)
        self._linker = find_linker(self.board.machine)
        self._runtime = runtime

    def assemble(self, model: onnx.ModelProto, graph: Graph, precision: str, dump: Dump) -> Made:
        runtime = runtime_libraries(self.board.machine) if self._runtime else {}
        manifest, files = assemble(
            model, graph, self.board, precision, self._linker, runtime, dump
        )  # fmt: skip
        return Made(manifest, files, partial(_check, manifest, model, graph))


def _check(
    manifest: Manifest, model: onnx.ModelProto, graph: Graph, path: Path, photos: Sequence[Path],
    console: Console,
) -> Mapping[str, Any]:  # fmt: skip
    """A bundle for another machine cannot run here: the same operators, compiled for this one, are
    compared instead, and the record says so."""
    here, target = this_machine(), manifest.target
    limits = _LIMITS[manifest.precision]
    if target.machine == here.machine and {*target.features} <= (here.features or set()):
        return check(TvmEngine(path), "the bundle", model, photos, limits, console)
    with tempfile.TemporaryDirectory() as folder:
        twin = _twin(Path(folder, "twin.passd"), model, graph, manifest.precision)
        ran = f"the same operators, compiled for this {here.machine},"
        return check(TvmEngine(twin), ran, model, photos, limits, console)


def _twin(path: Path, model: onnx.ModelProto, graph: Graph, precision: str) -> Path:
    """A bundle of the same graph for this machine."""
    board = native_board()
    manifest, files = assemble(model, graph, board, precision, find_linker(board.machine), {})
    write_bundle(path, manifest, files)
    return path
