"""The emulator, models as exported, and what the shipped one becomes for GPUs."""

from __future__ import annotations

import onnx
import pytest

from targets.compile import lowered_graph
from targets.gpu.assemble import Assembled, assemble
from targets.gpu.board import GpuBoard
from tests.gpu.on_emulator import Emulator
from tests.targets.conftest import one_anchor, shipped, unclipped

__all__ = ["assembled", "emulator", "one_anchor", "shipped", "unclipped"]

# As large as an Orin Nano's GPU, with machine code for one of each kind: matrix units by way of
# their first interface, and by mma on small and on large GPUs.
THREE_GPUS = GpuBoard("three", "one of each kind", ("sm_72", "sm_87", "sm_90"), 8)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    return Emulator(tmp_path_factory.mktemp("operators"))


@pytest.fixture(scope="session")
def assembled(shipped: onnx.ModelProto) -> Assembled:
    """In int8."""
    return assemble(shipped, lowered_graph(shipped, "the model"), THREE_GPUS, "int8")
