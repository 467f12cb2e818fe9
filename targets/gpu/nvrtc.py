"""NVRTC, NVIDIA's compiler of CUDA C++ as a library: kernels to machine code or PTX, without a GPU.

Which release compiles for which GPU is fixed, whatever else is installed, so that a bundle is the
same everywhere: 11.8 up to sm_90, for drivers load machine code of their own major release of CUDA
and of older ones, and Jetsons have drivers from 11.4 on; 13 for what came later.
"""

from __future__ import annotations

import ctypes
import locale
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from edge_passd.errors import BadInput
from targets.gpu.board import number_of

# NVRTC 11 sets the process's locale while it compiles: two at once, which would save a fifth of the
# time, could leave it changed.
_ONE_AT_A_TIME = Lock()
_OPTIONS = ("--std=c++17", "--fmad=true", "--ptxas-options=-v")


@dataclass(frozen=True)
class Wheel:
    """Where PyPI has NVRTC. last: GPU that it is for. path: of its library, below nvidia/."""

    requirement: str
    cuda: str
    last: int
    path: str


WHEELS = (
    Wheel("nvidia-cuda-nvrtc-cu11==11.8.89", "CUDA 11.8", 90, "cuda_nvrtc/lib/libnvrtc.so.11.2"),
    Wheel("nvidia-cuda-nvrtc==13.0.88", "CUDA 13", 999, "cu13/lib/libnvrtc.so.13"),
)


@dataclass(frozen=True)
class Toolkit:
    """An NVRTC at hand. release: of CUDA, "11.8". architectures: numbers, 87 for sm_87."""

    library: ctypes.CDLL
    release: str
    architectures: frozenset[int]


@dataclass(frozen=True)
class Resources:
    """What a thread of a kernel takes: registers, and bytes of its stack, of which spilled:
    stored there and loaded from there for want of registers. shared: bytes of a block.
    """

    kernel: str
    registers: int
    stack: int
    spilled: int
    shared: int


@dataclass(frozen=True)
class Compiled:
    """content: a cubin for "sm_87", PTX for "compute_87". release: of CUDA, "11.8".

    resources: of each kernel, in the compiler's order; none for PTX. log: all it said.
    """

    architecture: str
    release: str
    content: bytes
    resources: tuple[Resources, ...]
    log: str


def compile_cuda(source: str, architecture: str) -> Compiled:
    """CUDA C++ without an `#include`, for one architecture; IEEE arithmetic but for contraction.

    Raises BadInput if the compiler for that architecture is not installed, RuntimeError with the
    compiler's log for a source that it rejects.
    """
    toolkit = find_toolkit(architecture)
    with _ONE_AT_A_TIME, _locale_kept():
        content, log = _compile(toolkit, source, architecture)
    return Compiled(architecture, toolkit.release, content, resources_of(log), log)


@contextmanager
def _locale_kept() -> Iterator[None]:
    """The process's locale is afterwards what it was."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def find_toolkit(architecture: str) -> Toolkit:
    """Raises BadInput that names the wheel to install."""
    number = number_of(architecture)
    wheel = next(wheel for wheel in WHEELS if number <= wheel.last)
    toolkit = _load(wheel.path)
    if toolkit is None:
        raise BadInput(
            f"{architecture} needs {wheel.cuda}'s compiler: pip install {wheel.requirement}, "
            'or all that the target needs: pip install "edge-passd[cuda]"'
        )
    if number not in toolkit.architectures:
        known = " ".join(f"sm_{each}" for each in sorted(toolkit.architectures))
        raise BadInput(
            f"{architecture} is unknown to CUDA {toolkit.release}'s compiler, which has {known}; "
            "choose another board"
        )
    return toolkit


def resources_of(log: str) -> tuple[Resources, ...]:
    """What the assembler says of each kernel in its log."""
    _, *parts = re.split(r"Compiling entry function '(\w+)'", log)
    return tuple(
        Resources(
            kernel,
            _count(r"Used (\d+) registers", said),
            _count(r"(\d+) bytes stack frame", said),
            _count(r"(\d+) bytes spill stores", said) + _count(r"(\d+) bytes spill loads", said),
            _count(r"(\d+) bytes smem", said),
        )
        for kernel, said in zip(parts[::2], parts[1::2], strict=True)
    )


def _count(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


@cache
def _load(path: str) -> Toolkit | None:
    spec = find_spec("nvidia")  # a folder that all of NVIDIA's wheels share
    folders = (spec and spec.submodule_search_locations) or ()
    file = next((Path(folder, path) for folder in folders if Path(folder, path).is_file()), None)
    if file is None:
        return None
    # CUDA 13's does not look beside itself for these; once loaded they are found by their name.
    for builtins in file.parent.glob("libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(builtins))
    library = ctypes.CDLL(str(file))
    major, minor, count = (ctypes.c_int() for _ in range(3))
    _call(library, "nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
    _call(library, "nvrtcGetNumSupportedArchs", ctypes.byref(count))
    numbers = (ctypes.c_int * count.value)()
    _call(library, "nvrtcGetSupportedArchs", numbers)
    return Toolkit(library, f"{major.value}.{minor.value}", frozenset(numbers))


def _compile(toolkit: Toolkit, source: str, architecture: str) -> tuple[bytes, str]:
    """The code and the log."""
    library, program = toolkit.library, ctypes.c_void_p()
    text = source.encode()
    _call(library, "nvrtcCreateProgram", ctypes.byref(program), text, b"kernels.cu", 0, None, None)
    try:
        options = [each.encode() for each in (f"--gpu-architecture={architecture}", *_OPTIONS)]
        status = library.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*options)
        )
        log = _get(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if status:
            raise RuntimeError(
                f"CUDA {toolkit.release}'s compiler rejects the kernels for {architecture} "
                f"({_meaning(library, status)}):\n{log}"
            )
        if architecture.startswith("compute_"):
            return _get(library, program, "PTX").rstrip(b"\0"), log
        return _get(library, program, "CUBIN"), log
    finally:
        _call(library, "nvrtcDestroyProgram", ctypes.byref(program))


def _get(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _call(library, f"nvrtcGet{what}Size", program, ctypes.byref(size))
    content = ctypes.create_string_buffer(size.value)
    _call(library, f"nvrtcGet{what}", program, content)
    return content.raw


def _call(library: ctypes.CDLL, function: str, *arguments: Any) -> None:
    status = getattr(library, function)(*arguments)
    if status:
        raise RuntimeError(f"{function}: {_meaning(library, status)}")


def _meaning(library: ctypes.CDLL, status: int) -> str:
    text = library.nvrtcGetErrorString
    text.restype = ctypes.c_char_p
    return text(status).decode()
