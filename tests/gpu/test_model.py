"""Whole models on the emulated GPU, and in the engine for real ones on a fake driver."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_passd.bundle import CudaPlan, Image, write_bundle
from edge_passd.parity import EXACT_INT8_LIMITS, compare
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input
from targets.compile import lowered_graph
from targets.cuda import BOARDS
from targets.gpu import assemble as rooms
from targets.gpu.assemble import Assembled, assemble
from targets.gpu.board import GpuBoard
from targets.gpu.codegen import words
from targets.gpu.emulator.compile import compile_kernels
from targets.gpu.emulator.engine import POISON, EmulatedEngine, EmulatedGpu
from targets.gpu.images import Built
from targets.reference import Reference
from tests.engines import toy_bundle
from tests.gpu import fake_driver
from tests.gpu.kernels import needs_nvrtc
from tests.gpu.on_emulator import Emulator

BOARD = BOARDS["desktop-sm80"]
CAT = Path(__file__).parents[2] / "docs" / "images" / "chelsea.png"
RUN = """
import sys
from pathlib import Path
import numpy as np
from edge_passd.engines.cuda import CudaEngine
np.savez(sys.argv[3], *CudaEngine(Path(sys.argv[1])).run(np.load(sys.argv[2])))
"""


@pytest.fixture
def without_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images by name alone, for tests that run the kernels elsewhere."""

    def images(source: str, board: GpuBoard, kernels: Collection[str]) -> tuple[Built, ...]:
        (architecture,) = board.architectures
        image = Image(f"kernels.{architecture}.cubin", architecture, "11.8", None)
        return (Built(image, toy_bundle.cubin(tuple(kernels)), ()),)

    monkeypatch.setattr(rooms, "build_images", images)


def library(made: Assembled, emulator: Emulator) -> Path:
    return compile_kernels(words() + made.lowered.source, emulator.folder)


def picture(size: int) -> np.ndarray:
    return to_input(read_photo(CAT), size, "stretch")[0]


def check(
    made: Assembled, model: onnx.ModelProto, emulator: Emulator, descending: bool = False
) -> None:
    """That an int8 model computes what its graph means, to the last bit but for its float end."""
    engine = EmulatedEngine(made.manifest, made.files, library(made, emulator), descending)
    record = compare(Reference(model), engine, [CAT], EXACT_INT8_LIMITS)
    assert record.problem is None
    assert record.detections


@needs_nvrtc
def test_the_shipped_model_with_matrix_units(
    assembled: Assembled, shipped: onnx.ModelProto, emulator: Emulator
) -> None:
    check(assembled, shipped, emulator)


def test_the_shipped_model_without_matrix_units(
    without_nvrtc: None, shipped: onnx.ModelProto, emulator: Emulator
) -> None:
    made = assemble(shipped, lowered_graph(shipped, "it"), BOARDS["jetson-nano"], "int8")
    check(made, shipped, emulator, descending=True)


@pytest.mark.parametrize(
    ("precision", "boxes", "scores"), [("fp32", 1e-4, 1e-4), ("fp16", 1e-2, 1e-2)]
)
def test_a_float_model(
    without_nvrtc: None, unclipped: onnx.ModelProto, emulator: Emulator, precision: str,
    boxes: float, scores: float,
) -> None:  # fmt: skip
    """boxes: how far they may be off, in sides of their own and the picture's together."""
    made = assemble(unclipped, lowered_graph(unclipped, "it"), BOARD, precision)
    image = picture(made.manifest.model.input_size)
    found = EmulatedEngine(made.manifest, made.files, library(made, emulator)).run(image)
    wanted = Reference(unclipped).run(image)
    sides = wanted[0][..., 2:] - wanted[0][..., :2]
    off = np.abs(found[0] - wanted[0]).max(-1) / (sides.max(-1) + image.shape[-1])
    assert off.max() < boxes
    assert np.abs(found[1] - wanted[1]).max() < scores


@needs_nvrtc
def test_the_engine_for_gpus_runs_the_same_bundle(
    assembled: Assembled, emulator: Emulator, tmp_path: Path
) -> None:
    kernels, image = library(assembled, emulator), picture(320)
    write_bundle(tmp_path / "model.passd", assembled.manifest, assembled.files)
    np.save(tmp_path / "image.npy", image)
    found = fake_driver.environment(fake_driver.build(tmp_path), kernels=kernels)
    files = [str(tmp_path / name) for name in ("model.passd", "image.npy", "out.npz")]
    subprocess.run(
        [sys.executable, "-c", RUN, *files], env={**os.environ, **found}, check=True, timeout=100
    )
    wanted = EmulatedEngine(assembled.manifest, assembled.files, kernels).run(image)
    for first, second in zip(np.load(files[2]).values(), wanted, strict=True):
        np.testing.assert_array_equal(first, second)


def test_two_photos_at_once_are_two_photos(
    without_nvrtc: None, one_anchor: onnx.ModelProto, emulator: Emulator
) -> None:
    made = assemble(one_anchor, lowered_graph(one_anchor, "it"), BOARD, "fp32", batch=2)
    plan, reference = made.manifest.plan, Reference(one_anchor)
    assert isinstance(plan, CudaPlan)
    images = np.concatenate([picture(64), picture(64)[..., ::-1]])
    constants = np.frombuffer(made.files[plan.constants], np.uint8)
    workspace = np.full(plan.workspace_bytes, POISON, np.uint8)
    boxes, scores = (
        np.full((2, plan.boxes, depth), np.nan, np.float32) for depth in (4, plan.classes)
    )
    gpu = EmulatedGpu(library(made, emulator), (constants, workspace, images, boxes, scores))
    for launch in plan.launches:
        gpu.launch(launch)
    for number, image in enumerate(images):
        wanted = reference.run(image[None])
        for found, (expected,), limit in zip(gpu.arrays[3:], wanted, (1e-2, 1e-5), strict=True):
            np.testing.assert_allclose(found[number], expected, rtol=1e-4, atol=limit)
