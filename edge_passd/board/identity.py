"""Who this machine is: a Jetson, a Raspberry Pi or a PC, its processor, memory and system."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_passd.board.clocks import read_clocks
from edge_passd.board.jetpack import JETPACK
from edge_passd.board.sysfs import ask, printable, read_line, read_text
from edge_passd.bundle.machine import parse_cpuinfo

JETSON, RASPBERRY_PI, PC, OTHER = "jetson", "raspberry-pi", "pc", "other"

_DEVICE_TREE = Path("proc/device-tree")
_DMI = Path("sys/class/dmi/id")
_RASPBERRY_PI = "Raspberry Pi"
_NVPMODEL = Path("usr/sbin/nvpmodel")
# What makers leave in their firmware when they do not say what the machine is.
_NO_NAME = re.compile(
    r"|to be filled by o\.?e\.?m\.?|default string|system (product|version) name|"
    r"system manufacturer|o\.?e\.?m\.?|not (applicable|specified|available)|none|unknown|n/a|0+",
    re.IGNORECASE,
)
_L4T = re.compile(r"^# R([0-9]{1,3}) \(release\), REVISION: ([0-9]{1,3}(?:\.[0-9]{1,3})?)", re.M)
_JETSON_SPEC = re.compile(r"^(?:TNSPEC|COMPATIBLE_SPEC)\s.*?\b(jetson-[a-z0-9-]*[a-z0-9])", re.M)
_MODE_ASKED = re.compile(r"^NV Power Mode:\s*(\S.*)$", re.MULTILINE)
_MODE_NUMBER = re.compile(r"\bpmode:([0-9]{1,4})\b")
_MODE_NAME = re.compile(r"<\s*POWER_MODEL\s+ID=([0-9]{1,4})\s+NAME=([^\s>]+)\s*>")
_MEMORY = re.compile(r"^MemTotal:\s*([0-9]{1,12}) kB$", re.MULTILINE)
_CORE_MAKER = re.compile(r"^CPU implementer\s*:\s*0x([0-9a-fA-F]{1,2})\s*$", re.MULTILINE)
_CORE_PART = re.compile(r"^CPU part\s*:\s*0x([0-9a-fA-F]{1,3})\s*$", re.MULTILINE)
_CORE_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")

# ARM's registry of the numbers in /proc/cpuinfo: (maker, part).
_CORES = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
}


@dataclass(frozen=True)
class Identity:
    """What cannot be read, or what this kind of machine does not have, is None.

    kind: JETSON, RASPBERRY_PI, PC or OTHER. model: the maker's name of the board. cpu: of the
    processor, or of its kinds of cores. cores: logical ones that are on. l4t, jetpack: as in
    "36.4.3" and "6.2". power_mode: the one that `nvpmodel` set. clocks_locked: by `jetson_clocks`.
    """

    kind: str
    model: str | None
    cpu: str | None
    cores: int | None
    memory_bytes: int | None
    kernel: str | None
    l4t: str | None = None
    jetpack: str | None = None
    power_mode: str | None = None
    clocks_locked: bool | None = None

    @property
    def title(self) -> str:
        """The machine in a word or two."""
        return self.model or self.cpu or "unknown machine"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def identify(root: Path = Path("/")) -> Identity:
    """The machine whose files are under `root`; asks `nvpmodel` there, if it is there."""
    cpuinfo = read_text(root / "proc/cpuinfo").text or ""
    boot = read_text(root / "etc/nv_boot_control.conf").text or ""
    compatible = (read_text(root / _DEVICE_TREE / "compatible").text or "").split("\0")
    model = read_line(root / _DEVICE_TREE / "model") or _pi_name(cpuinfo)
    is_jetson = any(name.startswith("nvidia,tegra") for name in compatible) or "Jetson" in model
    jetson_spec = _JETSON_SPEC.search(boot)
    kind = (
        JETSON
        if is_jetson or jetson_spec
        else RASPBERRY_PI
        if compatible[0].startswith("raspberrypi,") or model.startswith(_RASPBERRY_PI)
        else PC
        if re.search(r"^vendor_id\s*:", cpuinfo, re.MULTILINE)
        else OTHER
    )
    model = model or (printable(jetson_spec[1]) if jetson_spec else _dmi_name(root))
    memory = _MEMORY.search(read_text(root / "proc/meminfo").text or "")
    l4t = _l4t(root) if kind == JETSON else None
    return Identity(
        kind=kind,
        model=model or None,
        cpu=_cpu_name(cpuinfo, kind) or None,
        cores=_count_cores(read_line(root / "sys/devices/system/cpu/online")),
        memory_bytes=int(memory[1]) * 1024 if memory else None,
        kernel=read_line(root / "proc/sys/kernel/osrelease") or None,
        l4t=l4t,
        jetpack=JETPACK.get(l4t or ""),
        power_mode=_power_mode(root) if kind == JETSON else None,
        clocks_locked=read_clocks(root).locked if kind == JETSON else None,
    )


def _pi_name(cpuinfo: str) -> str:
    """The board's name that a Raspberry Pi's kernel writes there too."""
    name = printable(parse_cpuinfo(cpuinfo)[0])
    return name if name.startswith(_RASPBERRY_PI) else ""


def _dmi_name(root: Path) -> str:
    for maker, product in (("sys_vendor", "product_name"), ("board_vendor", "board_name")):
        names = [read_line(root / _DMI / each) for each in (maker, product)]
        if not _NO_NAME.fullmatch(names[1]):
            return " ".join(name for name in names if not _NO_NAME.fullmatch(name))
    return ""


def _cpu_name(cpuinfo: str, kind: str) -> str:
    makers = [int(number, 16) for number in _CORE_MAKER.findall(cpuinfo)]
    parts = [int(number, 16) for number in _CORE_PART.findall(cpuinfo)]
    cores = sorted({_CORES.get(core, "") for core in zip(makers, parts, strict=False)} - {""})
    if cores or kind == RASPBERRY_PI:  # the name in its file is the board's
        return " + ".join(cores)
    return printable(parse_cpuinfo(cpuinfo)[0])


def _count_cores(ranges: str) -> int | None:
    """How many cores "0-3,6" names; None if that is no such list."""
    matches = [_CORE_RANGE.fullmatch(each) for each in ranges.split(",")]
    if not all(matches):
        return None
    count = sum(int(match[2] or match[1]) - int(match[1]) + 1 for match in matches if match)
    return count if count > 0 else None


def _l4t(root: Path) -> str | None:
    match = _L4T.search(read_text(root / "etc/nv_tegra_release").text or "")
    if not match:
        return None
    revision = match[2] if "." in match[2] else f"{match[2]}.0"
    return f"{match[1]}.{revision}"


def _power_mode(root: Path) -> str | None:
    asked = _MODE_ASKED.search(ask(root / _NVPMODEL, "-q").text or "")
    if asked:
        return printable(asked[1])
    number = _MODE_NUMBER.search(read_text(root / "var/lib/nvpmodel/status").text or "")
    if not number:
        return None
    names = _MODE_NAME.findall(read_text(root / "etc/nvpmodel.conf").text or "")
    by_number = {int(mode): name for mode, name in names}
    return printable(by_number.get(int(number[1]), f"mode {int(number[1])}"))
