"""How hot the machine is, and whether it slows itself down for that or for want of power."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_passd.board.sysfs import Text, ask, children, read_line, read_number, read_text

YES, NO, UNKNOWN = "yes", "no", "unknown"

_THERMAL = Path("sys/class/thermal")
_HWMON = Path("sys/class/hwmon")
_CPUS = Path("sys/devices/system/cpu")
_VCGENCMD = Path("usr/bin/vcgencmd")
_MILLI = 1000
_COLDEST, _HOTTEST = -40, 150  # degrees; a Jetson's sensor that is off says -256
# Where the Nano's power chip will be shut down, and an average that drives the fan.
_NO_SENSORS = ("PMIC-Die", "thermal-fan-est")
_PROCESSOR = re.compile(r"cpu|gpu|soc|core|pkg|k10temp|zenpower|^tj|^cv\d|^pll", re.IGNORECASE)
_PROCESSOR_CHIPS = ("coretemp", "k10temp", "zenpower")  # AMD's have no thermal zone
# Cooling devices that slow something down; the others are fans, displays and warnings.
_SLOWS = re.compile(r"throttle|cpufreq|devfreq|balanced|heavy", re.IGNORECASE)
_FLAGS = re.compile(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})")
# Bits of the Raspberry Pi's firmware: the condition now, and 16 higher, ever since boot.
_PI_BITS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_BOOT = 16
_ALL_BITS = 0xF000F  # any other, and it is no answer


@dataclass(frozen=True)
class Zone:
    """One sensor."""

    name: str
    celsius: float


@dataclass(frozen=True)
class Signs:
    """What tells of throttling, at one moment.

    levels: by name, 0 while nothing holds the clocks back. counts: by name, how often something
    did, since boot. blind: why a new event might not show in them, "" if it would.
    """

    levels: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    blind: str = ""


@dataclass(frozen=True)
class Throttling:
    """state: YES, NO or UNKNOWN. reason: what tells so."""

    state: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def read_zones(root: Path = Path("/")) -> tuple[Zone, ...]:
    """The sensors that can be read and say something that can be true."""
    folders = [
        (read_line(folder / "type"), folder / "temp")
        for folder in children(root / _THERMAL, r"thermal_zone[0-9]+")
    ] + [
        (f"{chip} {read_line(folder / 'temp1_label')}".strip(), folder / "temp1_input")
        for folder in children(root / _HWMON, r"hwmon[0-9]+")
        if (chip := read_line(folder / "name")) in _PROCESSOR_CHIPS
    ]
    zones = []
    for name, path in folders:
        value = read_number(path).value
        if value is None or name in _NO_SENSORS or not _COLDEST < value / _MILLI < _HOTTEST:
            continue
        zones.append(Zone(name or path.parent.name, value / _MILLI))
    return tuple(zones)


def hottest(zones: Sequence[Zone]) -> Zone | None:
    """The hottest sensor of the processor; of all, if none is named like one."""
    of_processor = [zone for zone in zones if _PROCESSOR.search(zone.name)]
    return max(of_processor or zones, key=lambda zone: zone.celsius, default=None)


def read_signs(root: Path = Path("/"), whole: bool = True) -> Signs:
    """The signs of throttling that the machine gives.

    whole: with what is needed only before and after a measurement, and takes longer: the counts,
    and the answer of `vcgencmd` on a Raspberry Pi that tells its flags no other way.
    """
    flags, blind = _pi_flags(root, whole)
    levels = {} if flags is None else {name: flags >> bit & 1 for bit, name in _PI_BITS.items()}
    for folder in children(root / _THERMAL, r"cooling_device[0-9]+"):
        if _SLOWS.search(name := read_line(folder / "type")):
            level = read_number(folder / "cur_state").value
            if level is not None:
                levels[f"{name} ({folder.name})"] = int(level)
    return Signs(levels, _counts(root, flags) if whole else {}, blind)


def judge(signs: Sequence[Signs]) -> Throttling:
    """Whether the machine was throttled, by its signs in the order of time; two are needed."""
    if len(signs) < 2:
        return Throttling(UNKNOWN, "not watched")
    first, last = signs[0], signs[-1]
    for each in signs:
        for name, level in each.levels.items():
            if level > 0:
                return Throttling(YES, f"{name} at level {level}")
    for name, before in first.counts.items():
        if (after := last.counts.get(name, before)) > before:
            return Throttling(YES, f"{name} rose from {before} to {after}")
    watched = {*first.levels, *first.counts}
    if not watched:
        return Throttling(
            UNKNOWN, "no firmware flags, cooling devices or throttle counters to read here"
        )
    lost = watched - {*last.levels, *last.counts}
    if lost:
        return Throttling(UNKNOWN, f"{min(lost)} can no longer be read")
    if first.blind:
        return Throttling(UNKNOWN, first.blind)
    return Throttling(NO, f"{len(watched)} signs watched, such as {min(watched)}")


def _pi_flags(root: Path, ask_program: bool) -> tuple[int | None, str]:
    """The flags of a Raspberry Pi's firmware, and why an event might not show in them."""
    for soc in children(root / "sys/devices/platform", r"soc(@.*)?"):
        for firmware in children(soc, r".*firmware"):
            flags = _parse_flags(read_text(firmware / "get_throttled"))
            if flags is not None:
                return flags, ""
    program = root / _VCGENCMD
    if not ask_program or not os.access(program, os.X_OK):
        return None, ""
    flags = _parse_flags(ask(program, "get_throttled"))
    # Asked at the start and the end only: what happens between is seen by what it leaves since
    # boot, unless that was there before.
    old = (flags or 0) >> _SINCE_BOOT
    return flags, "throttled before, so a new event would not show; reboot first" if old else ""


def _parse_flags(answer: Text) -> int | None:
    match = _FLAGS.fullmatch((answer.text or "").strip())
    flags = int(match[1], 16) if match else 0
    return flags if match and not flags & ~_ALL_BITS else None


def _counts(root: Path, flags: int | None) -> dict[str, int]:
    """How often something held the clocks back since boot, by what it is."""
    paths = {
        f"{folder.name} {path.name}": path
        for folder in children(root / _CPUS, r"cpu[0-9]+")
        for path in children(folder / "thermal_throttle", r"(core|package)_throttle_count")
    } | {
        f"soctherm_oc {path.name}": path  # a Jetson drew too much current
        for folder in children(root / _HWMON, r"hwmon[0-9]+")
        if read_line(folder / "name") == "soctherm_oc"
        for path in children(folder, r"oc[0-9]+_event_cnt")
    }
    read = {name: read_number(path).value for name, path in paths.items()}
    counts = {name: int(value) for name, value in read.items() if value is not None}
    if flags is not None:
        for bit, name in _PI_BITS.items():
            counts[f"{name} since boot"] = flags >> bit + _SINCE_BOOT & 1
    return counts
