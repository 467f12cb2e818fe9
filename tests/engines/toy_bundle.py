"""A CUDA bundle written by hand: it finds each colour in its own box.

The score is the mean of the colour's channel / 255. `toy_kernels.c` computes that; what stands in
the images has the kernels' names and nothing that would run.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.bundle import CudaPlan, Image, Launch, Manifest, TargetInfo, write_bundle
from edge_passd.model_info import ModelInfo

SIZE = 64
COLOURS = ("red", "green", "blue")
BOXES = np.array([[0, 0, 32, 32], [32, 0, 64, 32], [16, 32, 48, 64]], np.float32)
KERNELS = ("means", "answers")
EM_CUDA = 190

CUBIN = Image("kernels.sm_87.cubin", "sm_87", "11.8", None)
PTX = Image("kernels.compute_72.ptx", "compute_72", "11.8", "6.5")
PLAN = CudaPlan(
    images=(CUBIN, PTX),
    constants="constants.bin",
    # More shared memory than a kernel gets without asking.
    launches=(
        Launch("means", (3, 1, 1), (128, 1, 1), 60000),
        Launch("answers", (1, 1, 1), (3, 1, 1), 0),
    ),
    workspace_bytes=12,
    boxes=3,
    classes=4,
)
MANIFEST = Manifest(
    model=ModelInfo("colours", COLOURS, SIZE, precision="int8"),
    target=TargetInfo(
        "cuda", "jetson-orin-nano", "nvptx64-nvidia-cuda", "any", "sm_87+compute_72", ()
    ),
    precision="fp16",
    int8_share=None,
    plan=PLAN,
    parity=(),
    operators=(
        {"name": "means of the channels", "kind": "mean", "macs": 12288},
        {"name": "scores and boxes", "kind": "decode", "macs": 24},
    ),
    compiler={"nvrtc": "11.8.89"},
)


def cubin(kernels: Sequence[str] = KERNELS, machine: int = EM_CUDA) -> bytes:
    """An ELF file with a section .text.NAME for each kernel."""
    names = ["", ".shstrtab", *(f".text.{kernel}" for kernel in kernels)]
    strings = "".join(f"{name}\0" for name in names).encode()
    header, section = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQIIQQ")
    table = header.size + len(strings)
    content = header.pack(
        b"\x7fELF\x02\x01\x01", 2, machine, 1, 0, 0, table, 0,
        header.size, 0, 0, section.size, len(names), 1,
    ) + strings  # fmt: skip
    for number, name in enumerate(names):
        at = strings.find(f"{name}\0".encode())
        size = len(strings) if number == 1 else 0
        kind = (0, 3, 1)[min(number, 2)]  # none, strings, code
        content += section.pack(at, kind, 0, 0, header.size, size, 0, 0, 1, 0)
    return content


def ptx(kernels: Sequence[str] = KERNELS, image: Image = PTX) -> bytes:
    """PTX with an entry for each kernel."""
    target = image.architecture.replace("compute", "sm")
    head = f"//\n// by hand\n//\n\n.version {image.ptx_version}\n.target {target}\n"
    entries = (f".visible .entry {kernel}(\n)\n{{\n\tret;\n}}\n" for kernel in kernels)
    return "\n".join((head, *entries)).encode()


def files() -> dict[str, bytes]:
    """By name, all but the manifest."""
    return {CUBIN.file: cubin(), PTX.file: ptx(), PLAN.constants: BOXES.astype(np.uint8).tobytes()}


def toy_bundle(path: Path, content: dict[str, bytes] | None = None, **changes: Any) -> Path:
    """Write it. content: instead of some files. changes: of the manifest."""
    write_bundle(path, replace(MANIFEST, **changes), {**files(), **(content or {})})
    return path
