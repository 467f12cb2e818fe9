"""This machine: board, system, processor, memory, disk, clocks, heat."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge_passd import __version__
from edge_passd.board import read_clocks, read_signs, read_zones
from edge_passd.board.heat import hottest
from edge_passd.board.identity import JETSON, Identity, identify
from edge_passd.board.sysfs import ask, printable, read_text
from edge_passd.bundle.machine import parse_cpuinfo
from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL, Finding

ROOT = Path("/")
LEAST_MEMORY = 400 << 20  # bytes that are free; a detector takes some 200 MB
LEAST_DISK = 200 << 20  # bytes; a bundle for GPUs is unpacked, a video is written
TOO_HOT = 85.0  # degrees; boards slow down from here on
EARLIEST = 2025  # a clock that says less was never set

# What a bundle for a processor may ask of it, by the board's name: `targets` has the same.
_V3 = ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_V4 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni")
FEATURES = {
    "x86-64-v3": _V3,
    "x86-64-v3-avxvnni": (*_V3, "avx_vnni"),
    "x86-64-v4-vnni": (*_V3, *_V4),
    "aarch64": ("asimd",),
    "aarch64-dotprod": ("asimd", "asimddp"),
    "aarch64-i8mm": ("asimd", "asimddp", "i8mm"),
}
_GIB = 1 << 30
_AVAILABLE = re.compile(r"^MemAvailable:\s*([0-9]{1,12}) kB$", re.MULTILINE)
_SYSTEM_NAME = re.compile(r'^PRETTY_NAME="?([^"\n]*)"?$', re.MULTILINE)


def check_machine(root: Path = ROOT) -> Iterator[Finding]:
    """root: of the machine's files."""
    who = identify(root)
    yield Finding("board", OK, _board(who))
    yield _system(root, who)
    yield Finding(
        "Python", OK, f"{platform.python_version()}, edge-passd {__version__}, {sys.executable}"
    )
    yield _processor(root, who)
    yield _memory(root, who)
    for name, folder in _folders().items():
        yield _disk(name, folder)
    yield _clocks(root, who)
    yield _throttling(root, who)
    yield _heat(root)
    yield _time(root)


def _board(who: Identity) -> str:
    facts = [who.title]
    if who.l4t:
        facts.append(f"JetPack {who.jetpack or 'unknown'} (L4T {who.l4t})")
    if who.power_mode:
        facts.append(f"power mode {who.power_mode}")
    return ", ".join(facts)


def _system(root: Path, who: Identity) -> Finding:
    name = _SYSTEM_NAME.search(read_text(root / "etc/os-release").text or "")
    system = printable(name[1]) if name else platform.system()
    found = f"{system}, kernel {who.kernel or 'unknown'}, {platform.machine()}"
    if sys.maxsize < 2**32:
        return Finding("system", BROKEN, f"{found}, a Python of 32 bits", "install a 64-bit system")
    return Finding("system", OK, found)


def _processor(root: Path, who: Identity) -> Finding:
    found = f"{who.cpu or 'unknown'}, {who.cores or 'unknown number of'} cores"
    features = parse_cpuinfo(read_text(root / "proc/cpuinfo").text or "")[1]
    if features is None:
        return Finding("processor", OK, f"{found}; features cannot be read")
    boards = [board for board, needs in FEATURES.items() if features.issuperset(needs)]
    if boards:
        return Finding("processor", OK, f"{found}; runs bundles for {', '.join(boards)}")
    return Finding(
        "processor", MISSING, f"{found}; no bundle runs on it", "run the .onnx with an engine"
    )


def _memory(root: Path, who: Identity) -> Finding:
    match = _AVAILABLE.search(read_text(root / "proc/meminfo").text or "")
    total = "unknown" if who.memory_bytes is None else f"{who.memory_bytes / _GIB:.1f} GiB"
    if match is None:
        return Finding("memory", OK, f"{total}, how much is free cannot be read")
    free = int(match[1]) * 1024
    found = f"{free / _GIB:.1f} of {total} free"
    if free < LEAST_MEMORY:
        return Finding("memory", MISSING, found, "close programs, or add swap: sudo fallocate -l "
                       "2G /swap && sudo mkswap /swap && sudo swapon /swap")  # fmt: skip
    return Finding("memory", OK, found)


def _folders() -> dict[str, Path]:
    """Where files are written: outputs, what TVM's and CUDA's runtimes unpack and keep."""
    return {
        "disk, here": Path.cwd(),
        "disk, temporary": Path(tempfile.gettempdir()),
        "disk, home": Path(os.path.expanduser("~")),
    }


def _disk(name: str, folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(name, BROKEN, f"{folder}: {error.strerror}", "set HOME and TMPDIR")
    found = f"{free / _GIB:.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Finding(name, MISSING, f"{folder}: no permission to write", "go to another folder")
    if free < LEAST_DISK:
        return Finding(name, MISSING, found, "remove files; df -h shows what is full")
    return Finding(name, OK, found)


def _clocks(root: Path, who: Identity) -> Finding:
    clocks = read_clocks(root)
    fastest = max((core.max_mhz for core in clocks.cores if core.max_mhz), default=None)
    if clocks.governor is None:
        return Finding("clocks", OPTIONAL, "no governor to read here")
    found = f"governor {clocks.governor}" + (f", to {fastest:.0f} MHz" if fastest else "")
    if clocks.locked:
        return Finding("clocks", OK, f"{found}, locked")
    if clocks.governor == "performance":
        return Finding("clocks", OK, found)
    lock = "sudo jetson_clocks" if who.kind == JETSON else (
        "echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
    )  # fmt: skip
    return Finding("clocks", OK, found, f"for steady measurements: {lock}")


def _throttling(root: Path, who: Identity) -> Finding:
    signs = read_signs(root)
    supply = "use the supply that the board asks for, and a fan"
    held = [f"{name} at level {level}" for name, level in signs.levels.items() if level]
    if held:
        return Finding("throttling", BROKEN, f"now: {', '.join(held)}", supply)
    before = [name for name, count in signs.counts.items() if count]
    if before:
        return Finding("throttling", OK, f"not now; before: {', '.join(before)}", supply)
    if not signs.levels and not signs.counts:
        return Finding("throttling", OPTIONAL, "nothing here tells of it")
    return Finding("throttling", OK, "none")


def _heat(root: Path) -> Finding:
    zone = hottest(read_zones(root))
    if zone is None:
        return Finding("temperature", OPTIONAL, "no sensor to read here")
    found = f"{zone.celsius:.0f} °C ({zone.name})"
    if zone.celsius >= TOO_HOT:
        return Finding("temperature", BROKEN, f"{found}, too hot", "cool it: a fan, free air")
    return Finding("temperature", OK, found)


def _time(root: Path) -> Finding:
    """Boards without a battery wake up in the past, where no certificate is valid."""
    now = time.strftime("%Y-%m-%d %H:%M %Z")
    synchronise = "sudo timedatectl set-ntp true"
    if time.localtime().tm_year < EARLIEST:
        return Finding("clock", BROKEN, f"{now} is in the past", synchronise)
    answer = ask(root / "usr/bin/timedatectl", "show", "-p", "NTPSynchronized", "--value").text
    if answer is None:
        return Finding("clock", OK, now)
    if answer.strip() != "yes":
        return Finding("clock", OK, f"{now}, not synchronised", synchronise)
    return Finding("clock", OK, f"{now}, synchronised")
