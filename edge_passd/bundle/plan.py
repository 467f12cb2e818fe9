"""How a bundle's code is run: by calls of a library on a processor, or by launches on a GPU."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from edge_passd.fields import (
    COUNT,
    WORD,
    WORDS,
    Field,
    JsonText,
    is_list_of,
    is_object,
    is_size,
)

CUDA = "cuda"  # the target kind whose plan is a `CudaPlan`

# Each PTX version there is, and the CUDA release whose driver is the first to read it.
PTX_VERSIONS = {
    "6.3": (10, 0), "6.4": (10, 1), "6.5": (10, 2), "7.0": (11, 0), "7.1": (11, 1),
    "7.2": (11, 2), "7.3": (11, 3), "7.4": (11, 4), "7.5": (11, 5), "7.6": (11, 6),
    "7.7": (11, 7), "7.8": (11, 8), "8.0": (12, 0), "8.1": (12, 1), "8.2": (12, 2),
    "8.3": (12, 3), "8.4": (12, 4), "8.5": (12, 5), "8.6": (12, 7), "8.7": (12, 8),
    "8.8": (12, 9), "9.0": (13, 0),
}  # fmt: skip

MAX_THREADS = 1024  # of a block, on every GPU
_MAX_BLOCK = (1024, 1024, 64)
_MAX_GRID = (2**31 - 1, 65535, 65535)


@dataclass(frozen=True)
class Plan:
    """How the library runs: its files, and the memory and arrays that it is called with.

    library: its function `run(constants, workspace, image, boxes, scores, first, last)` computes
    the manifest's operators from number `first` to before `last`, so all of them for a photo. In
    what TVM compiles the arrays are DLTensors at addresses that 64 divides: uint8 [the constants'
    bytes], uint8 [workspace_bytes], and float32 [1, 3, S, S], [1, boxes, 4], [1, boxes, classes].
    constants: the weights, packed. runtime: libraries to load before, in this order; may be none.
    boxes: N default boxes. classes: C, background among them.
    """

    library: str
    constants: str
    runtime: tuple[str, ...]
    workspace_bytes: int
    boxes: int
    classes: int

    @property
    def libraries(self) -> tuple[str, ...]:
        """All of them, the runtime's too."""
        return (self.library, *self.runtime)

    @property
    def named_files(self) -> tuple[str, ...]:
        """The bundle's files that it needs."""
        return (self.constants, *self.libraries)


@dataclass(frozen=True)
class Image:
    """The kernels, compiled once.

    architecture: "sm_87", machine code (a cubin) for that GPU, or "compute_87", PTX, which the
    driver compiles for that GPU or a newer one. toolkit: the CUDA release that compiled it.
    ptx_version: a key of `PTX_VERSIONS`; None for a cubin.
    """

    file: str
    architecture: str
    toolkit: str
    ptx_version: str | None

    @property
    def capability(self) -> tuple[int, int]:
        """The compute capability that `architecture` means: (8, 7) for sm_87."""
        digits = self.architecture.partition("_")[2]
        return int(digits[:-1]), int(digits[-1])

    @property
    def cuda(self) -> tuple[int, int]:
        """The CUDA release of the oldest driver that takes it."""
        if self.ptx_version is not None:
            return PTX_VERSIONS[self.ptx_version]
        # Within a major release, older drivers load what newer toolkits compiled.
        return int(self.toolkit.partition(".")[0]), 0


@dataclass(frozen=True)
class Launch:
    """One kernel on the GPU. grid: blocks, block: threads, by x, y, z; shared_bytes: dynamic."""

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int


@dataclass(frozen=True)
class CudaPlan:
    """How the kernels run: one launch for each of the manifest's operators, in order.

    Each is a function `kernel(constants, workspace, image, boxes, scores)` of five GPU addresses,
    uint8, uint8 and then float32, with the sizes of `Plan` at addresses that 256 divides, the last
    three as often as there are photos in a batch.
    images: the same kernels for several GPUs; all else as in `Plan`.
    """

    images: tuple[Image, ...]
    constants: str
    launches: tuple[Launch, ...]
    workspace_bytes: int
    boxes: int
    classes: int

    @property
    def named_files(self) -> tuple[str, ...]:
        """The bundle's files that it needs."""
        return (self.constants, *(image.file for image in self.images))

    @property
    def batch(self) -> int:
        """Photos at once: the blocks along z of each launch, a layer of them for each photo."""
        return self.launches[0].grid[2]

    @property
    def architectures(self) -> str:
        """Of all images, as the manifest's target names them."""
        return "+".join(image.architecture for image in self.images)


def read_plan(kind: str, values: Mapping[str, Any], manifest: JsonText) -> Plan | CudaPlan:
    """The plan of a bundle for a target kind; BadInput where it breaks the contract."""
    if kind == CUDA:
        return _read_cuda(values, manifest)
    known = manifest.fields(values, _PLAN, "plan.")
    return Plan(**{**known, "runtime": tuple(known["runtime"])})


def _read_cuda(values: Mapping[str, Any], manifest: JsonText) -> CudaPlan:
    known = manifest.fields(values, _CUDA_PLAN, "plan.")
    images = tuple(
        _read_image(each, f"plan.images[{row}].", manifest)
        for row, each in enumerate(known["images"])
    )
    if len({image.architecture for image in images}) < len(images):
        raise manifest.error("'plan.images' has an architecture twice")
    launches = [
        manifest.fields(each, _LAUNCH, f"plan.launches[{row}].")
        for row, each in enumerate(known["launches"])
    ]
    return CudaPlan(
        **{
            **known,
            "images": images,
            "launches": tuple(
                Launch(**{**each, "grid": tuple(each["grid"]), "block": tuple(each["block"])})
                for each in launches
            ),
        }
    )


def _read_image(values: Mapping[str, Any], prefix: str, manifest: JsonText) -> Image:
    image = Image(**manifest.fields(values, _IMAGE, prefix))
    is_ptx = image.architecture.startswith("compute_")
    if is_ptx != (image.ptx_version is not None):
        wanted = "a version" if is_ptx else "null"
        raise manifest.error(f"'{prefix}ptx_version' must be {wanted} for {image.architecture}")
    return image


def _is_like(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.A) is not None


def _is_extent(value: Any, limits: tuple[int, ...]) -> bool:
    return (
        isinstance(value, list)
        and len(value) == len(limits)
        and all(map(COUNT.is_good, value))
        and all(each <= limit for each, limit in zip(value, limits, strict=True))
    )


_SOME_OBJECTS = Field(
    lambda value: bool(value) and is_list_of(is_object)(value), "a list of one object or more"
)

_PLAN = {
    "library": WORD,
    "constants": WORD,
    "runtime": WORDS,
    "workspace_bytes": COUNT,
    "boxes": COUNT,
    "classes": COUNT,
}
_CUDA_PLAN = {
    "images": _SOME_OBJECTS,
    "constants": WORD,
    "launches": _SOME_OBJECTS,
    "workspace_bytes": COUNT,
    "boxes": COUNT,
    "classes": COUNT,
}
_IMAGE = {
    "file": WORD,
    "architecture": Field(_is_like(r"(sm|compute)_[1-9]\d{1,2}"), "such as sm_87 or compute_87"),
    "toolkit": Field(_is_like(r"\d{1,3}\.\d{1,3}"), "a CUDA release such as 11.8"),
    "ptx_version": Field(
        lambda value: value is None or (isinstance(value, str) and value in PTX_VERSIONS),
        "null or a PTX version this edge-passd knows, such as 7.4",
    ),
}
_LAUNCH = {
    "kernel": Field(_is_like(r"[A-Za-z_]\w*"), "the name of a C function"),
    "grid": Field(
        lambda value: _is_extent(value, _MAX_GRID), "three positive whole numbers of blocks"
    ),
    "block": Field(
        lambda value: _is_extent(value, _MAX_BLOCK) and prod(value) <= MAX_THREADS,
        f"three positive whole numbers of threads, at most {MAX_THREADS} in all",
    ),
    "shared_bytes": Field(is_size, "a whole number from 0 up"),
}
