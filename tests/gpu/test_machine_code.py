"""What the compiler makes of our kernels: that they fit into the GPUs they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
import pytest

from targets.compile import lowered_graph
from targets.gpu.assemble import Assembled, assemble
from targets.gpu.images import Built
from targets.gpu.nvrtc import Resources
from targets.gpu.sass import disassemble, tensor_instructions
from targets.gpu.steps import Convolutions, Separable
from tests.gpu.conftest import THREE_GPUS
from tests.gpu.kernels import needs_nvrtc, refusal

pytestmark = needs_nvrtc

REGISTERS = 65536  # of a multiprocessor, of every GPU from Maxwell on
GRAIN = 256  # registers that a warp gets at a time, or a multiple
SHARED = 48 * 1024  # bytes that a block gets without asking


@pytest.fixture(scope="module", params=["int8", "fp16"])
def made(
    request: pytest.FixtureRequest, assembled: Assembled, unclipped: onnx.ModelProto
) -> Assembled:
    if request.param == "int8":
        return assembled
    return assemble(unclipped, lowered_graph(unclipped, "it"), THREE_GPUS, "fp16")


def images(made: Assembled) -> Iterator[tuple[Built, Mapping[str, Resources]]]:
    for built in made.images:
        if built.image.ptx_version is None:
            yield built, {each.kernel: each for each in built.resources}


def test_every_kernel_runs_twice_on_a_multiprocessor_without_spilling(made: Assembled) -> None:
    for built, resources in images(made):
        for kernel in made.lowered.kernels:
            each, where = resources[kernel.name], f"{kernel.name}, {built.image.architecture}"
            warps, per_warp = -(-kernel.threads // 32), -(-each.registers * 32 // GRAIN) * GRAIN
            assert (each.spilled, each.stack) == (0, 0), where
            assert 2 * warps * per_warp <= REGISTERS, where
            assert each.shared <= SHARED, where


def test_products_are_taken_on_matrix_units_and_nothing_else_is(made: Assembled) -> None:
    wanted = {"int8": "IMMA", "fp16": "HMMA"}[made.manifest.precision]
    for built, _ in images(made):
        text = disassemble(built.content)
        assert text is not None
        for step in made.lowered.steps:
            found = {*tensor_instructions(text, step.name)} & {"IMMA", "HMMA"}
            products = isinstance(step, (Convolutions, Separable))
            assert found == ({wanted} if products else set()), step.name


def test_ptx_is_no_newer_than_it_says(made: Assembled, tmp_path: Path) -> None:
    (ptx,) = (each for each in made.images if each.image.ptx_version)
    assert ptx.image.ptx_version == "6.5"
    assert refusal(ptx.content, tmp_path) == ""
