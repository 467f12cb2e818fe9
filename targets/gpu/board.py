"""What a GPU board is to the compiler: data. Adding one is an entry in `targets.cuda`."""

from __future__ import annotations

from dataclasses import dataclass

TENSOR, DOT, SIMT = FAMILIES = ("tensor", "dot", "simt")
_FIRST_WITH_TENSOR_CORES, _FIRST_WITH_DOT_PRODUCTS = 70, 61


@dataclass(frozen=True)
class Peak:
    """What a GPU could do at best. bandwidth: of its memory, GB/s.

    The rest in 10^12 operations a second, a multiplication and its addition being two: fp32
    without tensor cores, fp16 and int8 dense (without sparsity). None: not known, or the GPU has no
    such instructions.
    """

    bandwidth: float
    fp32: float
    fp16: float | None = None
    int8: float | None = None

    def arithmetic(self, precision: str) -> float | None:
        """The figure of "fp32", "fp16" or "int8"; None for others."""
        return {"fp32": self.fp32, "fp16": self.fp16, "int8": self.int8}.get(precision)


@dataclass(frozen=True)
class GpuBoard:
    """A preset.

    says: what it is, for people. architectures: "sm_87", ..., the lowest first, each of which gets
    machine code. multiprocessors, peak: None where the preset is for several GPUs.
    """

    name: str
    says: str
    architectures: tuple[str, ...]
    multiprocessors: int | None = None
    peak: Peak | None = None

    @property
    def ptx(self) -> str:
        """The architecture, "compute_87", that PTX is for: whatever GPU is newer runs it."""
        return f"compute_{number_of(self.architectures[0])}"

    @property
    def family(self) -> str:
        """Which kernels it gets: for tensor cores, for dot products of bytes, or for neither."""
        number = number_of(self.architectures[0])
        if number >= _FIRST_WITH_TENSOR_CORES:
            return TENSOR
        return DOT if number >= _FIRST_WITH_DOT_PRODUCTS else SIMT


def number_of(architecture: str) -> int:
    """87 of "sm_87" and of "compute_87"."""
    return int(architecture.partition("_")[2])
