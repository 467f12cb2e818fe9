"""The machine at hand, and whether a bundle is for it."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_passd.bundle.manifest import ANY, TargetInfo
from edge_passd.errors import BadInput

CPUINFO = Path("/proc/cpuinfo")

_FEATURE_KEYS = ("flags", "Features")  # x86 and ARM
_NAME_KEYS = ("model name", "Model")
_ELF_HEADER, _ELF64_LITTLE_ENDIAN = 20, b"\x7fELF\x02\x01"
GPU = "a GPU"  # an NVIDIA one: what `elf_machine` says of a cubin
_ELF_MACHINES = {62: "x86_64", 183: "aarch64", 190: GPU}
_PTX_HEAD = re.compile(rb"^\.version (\d+\.\d+)\s*^\.target sm_(\d+)", re.MULTILINE)
_LONGEST_PTX_HEAD = 4096  # comments of the compiler come first


@dataclass(frozen=True)
class Machine:
    """system: "Linux", ... machine: as `uname -m` says it. bits: of this Python.

    cpu: the processor's name, "" if unknown. features: that all of its cores have, by their names
    in /proc/cpuinfo; None if that cannot be read.
    """

    system: str
    machine: str
    bits: int
    cpu: str
    features: frozenset[str] | None


def this_machine(cpuinfo: Path = CPUINFO) -> Machine:
    """The machine that runs this; cpuinfo: where Linux describes its processor."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    cpu, features = parse_cpuinfo(text)
    bits = 64 if sys.maxsize > 2**32 else 32
    return Machine(platform.system(), platform.machine(), bits, cpu, features)


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str] | None]:
    """The processor's name and the features that all its cores have; "" and None if not there."""
    pairs = [
        (key.strip(), value.strip())
        for key, colon, value in (line.partition(":") for line in text.splitlines())
        if colon
    ]
    name = next((value for key, value in pairs if key in _NAME_KEYS), "")
    # A board may mix cores of two kinds, and a thread may run on any of them.
    cores = [frozenset(value.split()) for key, value in pairs if key in _FEATURE_KEYS]
    return name, frozenset.intersection(*cores) if cores else None


def check_machine(target: TargetInfo, machine: Machine, where: str) -> None:
    """Raise BadInput unless a bundle for `target` runs on `machine`; `where` names the bundle.

    Of one for a GPU only what the processor must be is checked: anything with Linux and 64 bits.
    """
    cure = "compile the model for this machine with `edge-passd compile`"
    wanted, found = "Linux", machine.system
    if target.machine != ANY:
        wanted, found = f"{wanted} on {target.machine}", f"{found} on {machine.machine}"
    if found != wanted:
        raise BadInput(f"{where} is for {wanted} ({target.board}), this machine is {found}; {cure}")
    if machine.bits != 64:
        raise BadInput(
            f"{where} is for {wanted} ({target.board}), this Python has {machine.bits} bits; "
            "install a 64-bit system"
        )
    if not target.features:
        return
    needs = f"{where} is for {target.board} and needs {' '.join(target.features)}"
    if machine.features is None:
        raise BadInput(
            f"{needs}; whether this machine has that cannot be read from {CPUINFO}; "
            "mount /proc, or compile the model for a board that needs nothing special"
        )
    if any(feature not in machine.features for feature in target.features):
        has = " ".join(feature for feature in target.features if feature in machine.features)
        raise BadInput(
            f"{needs}; of these this machine ({machine.cpu or 'processor unknown'}) has "
            f"{has or 'none'}; {cure}"
        )


def elf_machine(content: bytes) -> str | None:
    """The machine that compiled code is for, as `uname -m` says it, or `GPU`; None if unknown."""
    if len(content) < _ELF_HEADER or not content.startswith(_ELF64_LITTLE_ENDIAN):
        return None
    return _ELF_MACHINES.get(int.from_bytes(content[18:20], "little"))  # e_machine


def ptx_target(content: bytes) -> str | None:
    """What PTX is for, as in "compute_87 in PTX 7.4"; None if it is none."""
    if head := _PTX_HEAD.search(content, 0, _LONGEST_PTX_HEAD):
        version, architecture = (each.decode() for each in head.groups())
        return f"compute_{architecture} in PTX {version}"
    return None
