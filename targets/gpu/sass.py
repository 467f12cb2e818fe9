"""What machine code says, where NVIDIA's disassembler is installed: for `--dump` and the tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from targets.gpu.cubin import read_cubin, relabelled

_VOLTA, _TURING = ("sm_70", "sm_72"), 75
_COUNTED = ("HMMA", "IMMA", "IDP", "FFMA")
_KERNEL = re.compile(r"^\.text\.(\w+):$", re.MULTILINE)
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P[T\d]\s+)?([A-Z][A-Z0-9_]*)")


def disassemble(cubin: bytes) -> str | None:
    """The machine code as text; None without a disassembler that knows the GPU.

    PyPI's knows none before Turing, sm_75. Volta has the same encoding, so it is read as Turing;
    for Maxwell it takes a CUDA toolkit of 13.0 or older in the PATH.
    Raises ValueError for what is no cubin.
    """
    forms = [cubin]
    if read_cubin(cubin).architecture in _VOLTA:
        forms.append(relabelled(cubin, _TURING))
    texts = (_run(tool, form) for tool in _disassemblers() for form in forms)
    return next((text for text in texts if text is not None), None)


def tensor_instructions(sass: str, kernel: str) -> Counter[str]:
    """How often a kernel's code has each instruction that multiplies and adds.

    HMMA: on tensor cores in fp16, IMMA: in int8; IDP: dot products of int8 and FFMA: fp32, both on
    the ordinary cores. Raises ValueError for a kernel that is not there.
    """
    _, *parts = _KERNEL.split(sass)
    bodies = dict(zip(parts[::2], parts[1::2], strict=True))
    if kernel not in bodies:
        raise ValueError(f"no kernel {kernel!r}; there are {', '.join(bodies)}")
    found = Counter(_INSTRUCTION.findall(bodies[kernel]))
    return Counter({name: found[name] for name in _COUNTED if found[name]})


def _disassemblers() -> Iterator[Path]:
    """In the PATH, then of PyPI's nvidia-cuda-nvdisasm."""
    in_path = shutil.which("nvdisasm")
    if in_path:
        yield Path(in_path)
    spec = find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from Path(folder).glob("cu*/bin/nvdisasm")


def _run(tool: Path, cubin: bytes) -> str | None:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run(
            [tool, "--print-code", file.name], stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
    return None if done.returncode else done.stdout
