from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_passd.bundle import Plan, TargetInfo, write_bundle
from tests.engines.toy_bundle import MANIFEST, cubin, toy_bundle

X86_64 = 62  # in an ELF file


@pytest.fixture
def cpu_bundle(tmp_path: Path) -> Path:
    """A bundle for a PC that is whole, and holds nothing that would run."""
    path = tmp_path / "my pc.passd"
    target = TargetInfo("x86", "x86-64-v3", "x86_64-linux-gnu", "x86_64", "haswell", ("avx2",))
    plan = Plan("model.so", "constants.bin", (), workspace_bytes=12, boxes=3, classes=4)
    content = {"model.so": cubin(machine=X86_64), "constants.bin": bytes(12)}
    write_bundle(path, replace(MANIFEST, target=target, plan=plan), content)
    return path


@pytest.fixture
def gpu_bundle(tmp_path: Path) -> Path:
    """The same for a Jetson."""
    return toy_bundle(tmp_path / "jetson.passd")
