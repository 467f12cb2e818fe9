"""The images of a CUDA bundle: the same kernels, compiled for each GPU of a board, and as PTX."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from edge_passd.bundle.machine import ptx_target
from edge_passd.bundle.plan import Image
from targets.gpu.board import GpuBoard, number_of
from targets.gpu.cubin import read_cubin
from targets.gpu.nvrtc import Compiled, Resources, compile_cuda, find_toolkit

# The PTX version that an image says it is in, by the last architecture that this holds for: the
# driver refuses a newer one than its own, though it would understand all of the instructions.
# JetPack 4 reads 6.5 and JetPack 5 reads 7.4; sm_89 and sm_90 are not known before 7.8. The tests
# have NVIDIA's assembler confirm that the instructions are no newer.
_PTX_VERSIONS = ((75, "6.5"), (87, "7.4"), (90, "7.8"), (121, "9.0"))

_VERSION = re.compile(rb"^\.version (\d+\.\d+)$", re.MULTILINE)
_ENTRY = re.compile(rb"^\.visible \.entry (\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Built:
    """An image and what its file holds. resources: of each kernel; none for PTX."""

    image: Image
    content: bytes
    resources: tuple[Resources, ...]


def build_images(source: str, board: GpuBoard, kernels: Collection[str]) -> tuple[Built, ...]:
    """CUDA C++ with these kernels as machine code for the board's architectures, then as PTX.

    Raises BadInput for a compiler that is not installed, before anything is compiled; RuntimeError
    for a source that a compiler rejects, or output that is not what was asked for.
    """
    architectures = (*board.architectures, board.ptx)
    for each in architectures:
        find_toolkit(each)
    return tuple(_checked(compile_cuda(source, each), kernels) for each in architectures)


def _checked(compiled: Compiled, kernels: Collection[str]) -> Built:
    built = _built(compiled)
    check_image(built.image, built.content, kernels)
    return built


def _built(compiled: Compiled) -> Built:
    architecture, release = compiled.architecture, compiled.release
    if not architecture.startswith("compute_"):
        image = Image(f"kernels.{architecture}.cubin", architecture, release, None)
        return Built(image, compiled.content, compiled.resources)
    version = next(version for last, version in _PTX_VERSIONS if number_of(architecture) <= last)
    image = Image(f"kernels.{architecture}.ptx", architecture, release, version)
    content = _VERSION.sub(f".version {version}".encode(), compiled.content, count=1)
    return Built(image, content, ())


def check_image(image: Image, content: bytes, kernels: Collection[str]) -> None:
    """Raise RuntimeError, which names the image's file, unless it is what it says.

    That is machine code or PTX, for its architecture, with all of the kernels.
    """
    problem = next(_problems(image, content, kernels), None)
    if problem:
        raise RuntimeError(f"{image.file}: {problem}; this is a fault of the compiler's")


def _problems(image: Image, content: bytes, kernels: Collection[str]) -> Iterator[str]:
    if image.ptx_version is None:
        try:
            cubin = read_cubin(content)
        except ValueError as error:
            yield f"no machine code ({error})"
            return
        if cubin.architecture != image.architecture:
            yield f"for {cubin.architecture}, not {image.architecture}"
        entries = {kernel for kernel, size in cubin.code.items() if size}
    else:
        wanted = f"{image.architecture} in PTX {image.ptx_version}"
        said = ptx_target(content)
        if said != wanted or b"\0" in content:
            yield f"{said or 'no PTX'}, not {wanted}"
        entries = {each.decode() for each in _ENTRY.findall(content)}
    missing = sorted({*kernels} - entries)
    if missing:
        yield f"without {', '.join(missing)}"
