"""A CUDA bundle's content: images, constants and what the manifest says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import onnx

from edge_passd import __version__
from edge_passd.bundle import CudaPlan, Launch, Manifest, TargetInfo
from targets.assemble import CONSTANTS, info_of
from targets.gpu.arithmetic import ARITHMETIC
from targets.gpu.board import GpuBoard
from targets.gpu.codegen import gpu_source
from targets.gpu.images import Built, build_images
from targets.gpu.kernel import Kernel
from targets.gpu.lower import Lowered, Schedule, lower
from targets.gpu.steps import Step
from targets.graph import Graph
from targets.passes.read_onnx import integer_share

TRIPLE, MACHINE = "nvptx64-nvidia-cuda", "any"
# For a preset of several GPUs: enough blocks for a PC's, which leaves a Jetson's busy too.
MULTIPROCESSORS = 64


@dataclass(frozen=True)
class Assembled:
    """manifest: without a parity record. files: by name. images: what the compiler said of each."""

    manifest: Manifest
    files: Mapping[str, bytes]
    lowered: Lowered
    images: tuple[Built, ...]


def schedule_of(board: GpuBoard, precision: str, batch: int = 1) -> Schedule:
    """How a board's kernels are made, in "int8", "fp16" or "fp32"."""
    return Schedule(
        ARITHMETIC[precision], board.family,
        board.multiprocessors or MULTIPROCESSORS, batch,
    )  # fmt: skip


def assemble(
    model: onnx.ModelProto, graph: Graph, board: GpuBoard, precision: str, batch: int = 1
) -> Assembled:
    """batch: photos at once.

    Raises BadInput for a model that is not ours, that the kernels do not cover, or for a compiler
    that is not installed.
    """
    lowered = lower(graph, schedule_of(board, precision, batch))
    images = build_images(
        gpu_source(lowered.source), board, [kernel.name for kernel in lowered.kernels]
    )
    manifest = Manifest(
        model=info_of(model, "the model"),
        target=TargetInfo(
            "cuda", board.name, TRIPLE, MACHINE,
            "+".join(each.image.architecture for each in images), (),
        ),
        precision=precision,
        int8_share=integer_share(graph),
        plan=CudaPlan(
            tuple(each.image for each in images),
            CONSTANTS,
            tuple(_launch(kernel, batch) for kernel in lowered.kernels),
            lowered.workspace.size * batch,
            graph.boxes,
            graph.classes,
        ),
        parity=(),
        operators=tuple(_row(step, lowered, precision, batch) for step in lowered.steps),
        compiler={
            "edge-passd": __version__,
            "apache-tvm": version("apache-tvm"),
            "cuda": "+".join(dict.fromkeys(each.image.toolkit for each in images)),
        },
    )  # fmt: skip
    files = {each.image.file: each.content for each in images}
    return Assembled(manifest, {**files, CONSTANTS: lowered.constants.content}, lowered, images)


def _launch(kernel: Kernel, batch: int) -> Launch:
    return Launch(kernel.name, (kernel.blocks, 1, batch), (kernel.threads, 1, 1), 0)


def _row(step: Step, lowered: Lowered, precision: str, batch: int) -> Mapping[str, Any]:
    """What the manifest says of a launch. bytes: the fewest that it must move, each once."""
    arithmetic = ARITHMETIC[precision]
    tensors = sum(map(arithmetic.bytes_of, (*step.inputs, *step.outputs)))
    constants = sum(lowered.sizes[step.name].values())
    return {
        "name": step.name,
        "kind": step.kind,
        "macs": step.macs * batch,
        "bytes": (tensors + step.other_bytes) * batch + constants,
    }
