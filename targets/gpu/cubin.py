"""What is in a cubin, NVIDIA's ELF file of machine code."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edge_passd.bundle.machine import GPU, elf_machine

_HEADER = struct.Struct("<4s5B7xHHIQQQI6H")  # Elf64_Ehdr
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_FLAGS = 48  # where e_flags lies
_FIRST_ABI_WITH_WIDE_FLAGS = 8  # of CUDA 13, which moved the architecture's number in them


@dataclass(frozen=True)
class Cubin:
    """architecture: "sm_87". code: the bytes of machine code of each kernel."""

    architecture: str
    code: dict[str, int]


def read_cubin(content: bytes) -> Cubin:
    """Raises ValueError, which says why, for anything but a whole cubin."""
    if elf_machine(content) != GPU:
        raise ValueError("no ELF file for an NVIDIA GPU")
    if len(content) < _HEADER.size:
        raise ValueError(f"cut off after {len(content)} bytes")
    (*_, abi, _, _, _, _, segments, sections, flags, _, segment, many, size, count, names
     ) = _HEADER.unpack_from(content)  # fmt: skip
    ends = (segments + many * segment, sections + count * size)
    if size != _SECTION.size or max(ends) > len(content) or names >= count:
        raise ValueError("cut off, or its tables are broken")
    rows = [_SECTION.unpack_from(content, sections + i * size) for i in range(count)]
    number = flags >> 8 & 0xFF if abi >= _FIRST_ABI_WITH_WIDE_FLAGS else flags & 0xFF
    return Cubin(f"sm_{number}", dict(_code(content, rows, rows[names][4])))


def relabelled(content: bytes, number: int) -> bytes:
    """A cubin of CUDA 12 or older that says it is for the GPU with this number."""
    flags = struct.unpack_from("<I", content, _FLAGS)[0] & ~0xFF00FF | number << 16 | number
    return content[:_FLAGS] + struct.pack("<I", flags) + content[_FLAGS + 4 :]


def _code(content: bytes, rows: list[tuple[int, ...]], names: int) -> Iterator[tuple[str, int]]:
    """names: where the sections' names begin."""
    for name, kind, _, _, _, size, *_ in rows:
        start = names + name
        end = content.find(b"\0", start)
        if end < 0:
            raise ValueError("a section's name lies outside of it")
        label = content[start:end].decode("ascii", errors="replace")
        if kind and label.startswith(".text."):
            yield label.removeprefix(".text."), size
