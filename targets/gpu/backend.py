"""Bundles for GPUs: target cuda."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from rich.console import Console

from edge_passd.bundle import CudaPlan, Manifest
from edge_passd.engines.cuda import CudaEngine
from edge_passd.engines.cuda_driver import this_gpu
from edge_passd.engines.cuda_images import choose_image
from edge_passd.errors import BadInput
from edge_passd.parity import COMPILED_FLOAT_LIMITS, COMPILED_HALF_LIMITS, EXACT_INT8_LIMITS
from targets.backend import Made
from targets.cuda import choose_board
from targets.dump import Dump
from targets.gate import check
from targets.gpu.assemble import Assembled, assemble
from targets.gpu.codegen import words
from targets.gpu.dump import dump_kernels
from targets.gpu.emulator.compile import compile_kernels
from targets.gpu.emulator.engine import EmulatedEngine
from targets.gpu.nvrtc import find_toolkit
from targets.graph import Graph
from targets.toolchain import find_linker

_LIMITS = {
    "int8": EXACT_INT8_LIMITS,
    "fp16": COMPILED_HALF_LIMITS,
    "fp32": COMPILED_FLOAT_LIMITS,
}


class GpuBackend:
    """See `targets.backend.Backend`. A bundle carries no runtime: the driver is all it needs."""

    precisions: Mapping[str, Sequence[str]] = {"int8": ("int8",), "fp32": ("fp16", "fp32")}

    def __init__(self, target: str, board: str | None, runtime: bool) -> None:
        self.board = choose_board(board)
        for architecture in (*self.board.architectures, self.board.ptx):
            find_toolkit(architecture)
        find_linker(platform.machine())  # for the emulator

    def assemble(self, model: onnx.ModelProto, graph: Graph, precision: str, dump: Dump) -> Made:
        assembled = assemble(model, graph, self.board, precision)
        dump_kernels(dump, assembled)
        return Made(assembled.manifest, assembled.files, partial(_check, assembled, model))


def _check(
    assembled: Assembled, model: onnx.ModelProto, path: Path, photos: Sequence[Path],
    console: Console,
) -> Mapping[str, Any]:  # fmt: skip
    """Where no GPU is at hand that runs the bundle, its kernels are emulated on the processor, and
    the record says so."""
    manifest = assembled.manifest
    limits = _LIMITS[manifest.precision]
    if runs_here(manifest):
        return check(CudaEngine(path), "the bundle", model, photos, limits, console)
    with tempfile.TemporaryDirectory() as folder:
        with console.status("compiling the kernels for the emulator"):
            kernels = compile_kernels(words() + assembled.lowered.source, Path(folder))
        engine = EmulatedEngine(manifest, assembled.files, kernels)
        ran = f"the kernels, emulated on this {platform.machine()},"
        return check(engine, ran, model, photos, limits, console)


def runs_here(manifest: Manifest) -> bool:
    """Whether this machine has a GPU that runs the bundle."""
    plan = manifest.plan
    try:
        gpu = this_gpu()
    except BadInput:
        return False
    return (
        isinstance(plan, CudaPlan)
        and choose_image(plan.images, gpu.capability, gpu.driver) is not None
    )
