"""Bundles for tests: one whose library only looks like one, and one that computes."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from fake_models import COLOUR_BOXES, COLOUR_INFO

from edge_passd.bundle import Manifest, Plan, TargetInfo, write_bundle

ELF_MACHINES = {"x86_64": 62, "aarch64": 183}

PLAN = Plan("model.so", "constants.bin", (), workspace_bytes=64, boxes=3, classes=4)
TARGETS = {
    "x86_64": TargetInfo("x86", "x86-64-v3", "x86_64-linux-gnu", "x86_64", "haswell", ("avx2",)),
    "aarch64": TargetInfo(
        "arm", "raspberry-pi-5", "aarch64-linux-gnu", "aarch64", "cortex-a76", ("asimd", "asimddp")
    ),
}
MANIFEST = Manifest(
    model=replace(COLOUR_INFO, precision="int8", training={"epochs": 60, "data": "animals"}),
    target=TARGETS["aarch64"],
    precision="int8",
    int8_share=0.97,
    plan=PLAN,
    parity=({"against": "onnxruntime", "photos": 20, "matched": 0.998},),
    operators=(
        {"name": "conv1", "kind": "conv3x3", "macs": 22118400, "tile": [8, 2]},
        {"name": "block1", "kind": "depthwise", "macs": 7372800},
        {"name": "softmax", "kind": "softmax", "macs": 0},
    ),
    compiler={"tvm": "0.27.0.post1", "edge-passd": "0.1.0"},
)


def elf(machine: str, size: int = 200) -> bytes:
    """The begin of a shared library for a machine, and nothing that would run."""
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + (3).to_bytes(2, "little")
    return (header + ELF_MACHINES[machine].to_bytes(2, "little")).ljust(size, b"\x90")


def files(machine: str = "aarch64") -> dict[str, bytes]:
    return {PLAN.library: elf(machine), PLAN.constants: bytes(range(64))}


def idle_bundle(path: Path, machine: str = "aarch64", **changes: Any) -> Path:
    """A whole bundle for a machine, with nothing in it that runs. changes: of the manifest."""
    manifest = replace(MANIFEST, target=TARGETS[machine], **changes)
    write_bundle(path, manifest, files(machine))
    return path


@cache
def runtime() -> dict[str, bytes]:
    """TVM's runtime for this machine, as a bundle carries it."""
    found = {}
    for name, package in (("libtvm_ffi.so", "tvm_ffi"), ("libtvm_runtime.so", "tvm")):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        found[name] = (Path(spec.origin).parent / "lib" / name).read_bytes()
    return found


@cache
def colour_library(white: int = 255) -> bytes:
    """See `colours_tvm.colours`."""
    from colours_tvm import colours

    return compiled(colours(white))


def compiled(module: Any) -> bytes:
    """A TVM module as a shared library for this machine."""
    import tvm

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.so"
        target = tvm.target.Target({"kind": "llvm", "num-cores": 1})
        tvm.compile(module, target=target).export_library(str(path))
        return path.read_bytes()


def colour_bundle(
    path: Path, library: bytes | None = None, carry_runtime: bool = False, **changes: Any
) -> Path:
    """A bundle for this machine that finds each colour in its own box, see `fake_models`.

    library: another one. changes: of the manifest.
    """
    carried = runtime() if carry_runtime else {}
    constants = np.zeros(64, np.uint8)
    constants[: COLOUR_BOXES.size] = COLOUR_BOXES.ravel()
    content = {
        PLAN.library: library or colour_library(),
        PLAN.constants: constants.tobytes(),
        **carried,
    }
    standard: dict[str, Any] = {
        "model": COLOUR_INFO,
        "precision": "fp32",
        "int8_share": None,
        "target": replace(TARGETS[platform.machine()], board="generic", features=()),
        "plan": replace(PLAN, runtime=tuple(carried)),
    }
    write_bundle(path, replace(MANIFEST, **{**standard, **changes}), content)
    return path
