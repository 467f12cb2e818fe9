"""What the machine draws: by the meters that it has, or why that cannot be read.

Jetsons carry INA3221 chips (TI, three rails each), which two generations of drivers show in two
layouts; processors of PCs count their energy (RAPL: Intel, and AMD under the same name). A
Raspberry Pi measures nothing that Linux shows.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edge_passd.board.identity import JETSON, OTHER, PC, RASPBERRY_PI
from edge_passd.board.sysfs import Number, children, printable, read_line, read_number

# The rails that together feed the whole module: the first line that one has all of is its own.
# On AGX Orin VDDQ_VDD2_1V8AO hangs on VIN_SYS_5V0, and would count twice.
TOTAL_RAILS = (
    ("POM_5V_IN",),  # Nano
    ("VDD_IN",),  # TX2, Xavier NX, Orin NX, Orin Nano
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)

_HWMON = Path("sys/class/hwmon")
_IIO = Path("sys/bus/i2c/drivers/ina3221x")
_POWERCAP = Path("sys/class/powercap")
_JTOP_SOCKET = Path("run/jtop.sock")
_CHANNELS = 3  # of one chip; hwmon numbers from 1, iio from 0
_MV_MA, _MW, _UJ = 1e-6, 1e-3, 1e-6  # in watts, watts and joules
_MOST_W = 10_000  # above this a file holds garbage, and no power
_ELSEWHERE = "put a meter into its supply line"
_NO_METER = {
    JETSON: "no INA3221 under /sys/class/hwmon or /sys/bus/i2c/drivers/ina3221x; "
    "run outside a container, on NVIDIA's kernel",
    RASPBERRY_PI: f"a Raspberry Pi has no power meter that Linux shows; {_ELSEWHERE}",
    PC: f"no energy counter (RAPL) in /sys/class/powercap, as in a virtual machine; {_ELSEWHERE}",
    OTHER: f"no power meter known on this machine; {_ELSEWHERE}",
}


class Meter(Protocol):
    """name: the chip or driver. measures: what it sees, for people.

    averages: whether a reading is the mean since the one before, rather than of the moment.
    """

    @property
    def name(self) -> str: ...
    @property
    def measures(self) -> str: ...
    @property
    def averages(self) -> bool: ...

    def read(self, now_s: float) -> Number:
        """Watts at the time `now_s`; never 0: a machine that runs draws something.

        None without a problem from the first reading of one that averages.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True)
class Rail:
    """watts: the product of the numbers in the files, times `unit`."""

    name: str
    files: tuple[Path, ...]
    unit: float

    def read(self) -> Number:
        """Watts."""
        values, problem = _all([read_number(path) for path in self.files])
        return Number(None, problem) if problem else Number(math.prod(values) * self.unit, "")


@dataclass(frozen=True)
class Ina3221:
    """The rails that feed the whole module."""

    rails: tuple[Rail, ...]
    name: str = "INA3221"
    averages: bool = False

    @property
    def measures(self) -> str:
        return "whole module: " + " + ".join(rail.name for rail in self.rails)

    def read(self, now_s: float) -> Number:
        values, problem = _all([rail.read() for rail in self.rails])
        return Number(None, problem) if problem else _plausible(sum(values), self.measures)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class EnergyCounter:
    """file: microjoules, ever rising; wraps_at: where they start again from 0, None if unknown."""

    name: str
    file: Path
    wraps_at: float | None

    def rise(self, before: float, after: float) -> Number:
        """Joules from one reading to another not long after."""
        if after < before:
            after += self.wraps_at or 0
        if after < before:
            return Number(None, f"{self.file}: fell without a known end to wrap at")
        return Number((after - before) * _UJ, "")


@dataclass
class Rapl:
    """The energy counters of the processors, and of the memory where there are some."""

    counters: tuple[EnergyCounter, ...]
    name: str = "RAPL"
    averages: bool = True
    _last_s: float = field(default=math.nan, init=False)
    _last: list[float] = field(default_factory=list, init=False)

    @property
    def measures(self) -> str:
        return "processor only: " + " + ".join(counter.name for counter in self.counters)

    def read(self, now_s: float) -> Number:
        now, problem = _all([read_number(counter.file) for counter in self.counters])
        before, seconds = self._last, now_s - self._last_s
        self._last, self._last_s = now, now_s
        if problem or not before:
            return Number(None, problem)
        if seconds <= 0:
            return Number(None, f"{self.name}: no time between two readings")
        readings = zip(self.counters, before, now, strict=True)
        rises = [counter.rise(earlier, later) for counter, earlier, later in readings]
        joules, problem = _all(rises)
        if problem:
            return Number(None, problem)
        return _plausible(sum(joules) / seconds, self.measures)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Jtop:
    """jetson-stats, which its users have installed and its service runs."""

    client: Any
    name: str = "jtop"
    measures: str = "whole module, as jetson-stats sums it"
    averages: bool = False

    def read(self, now_s: float) -> Number:
        if not self.client.is_alive():  # the figures of before would stay
            return Number(None, "jtop has stopped")
        power = self.client.power
        total = power.get("tot") if isinstance(power, Mapping) else None
        milliwatts = total.get("power") if isinstance(total, Mapping) else None
        if not isinstance(milliwatts, (int, float)):
            return Number(None, "jtop tells no total power")
        return _plausible(milliwatts * _MW, "jtop")

    def close(self) -> None:
        self.client.close()


def find_meter(kind: str, root: Path = Path("/")) -> tuple[Meter | None, str]:
    """The meter of a machine of this kind, after it has answered once; else None and the reason."""
    meter, problem = _meter_in_sysfs(kind, root)
    if meter is None and kind == JETSON and os.path.exists(root / _JTOP_SOCKET):
        return _jtop(problem)
    return meter, problem


def find_rails(root: Path = Path("/")) -> tuple[Rail, ...]:
    """All rails that INA3221 chips measure and that have a name."""
    rails = []
    for folder in children(root / _HWMON, r"hwmon[0-9]+"):
        if read_line(folder / "name") != "ina3221":
            continue
        for n in range(1, _CHANNELS + 1):
            files = (folder / f"in{n}_input", folder / f"curr{n}_input")
            rails.append(Rail(read_line(folder / f"in{n}_label"), files, _MV_MA))
    for chip in children(root / _IIO, r"[0-9]+-[0-9a-f]+"):
        for folder in children(chip, r"iio[:_]device[0-9]*"):
            for n in range(_CHANNELS):
                name = read_line(folder / f"rail_name_{n}")
                rails.append(Rail(name, (folder / f"in_power{n}_input",), _MW))
    return tuple(rail for rail in rails if rail.name not in ("", "NC"))


def find_counters(root: Path = Path("/")) -> tuple[EnergyCounter, ...]:
    """The energy counters of whole processors, and of memory beside them.

    Not those of parts of a processor or of the platform, which would count twice.
    """
    counters = []
    for folder in children(root / _POWERCAP, r"intel-rapl:[0-9]+(:[0-9]+)?"):
        name = read_line(folder / "name")
        if name.startswith("package") or name == "dram":
            wraps_at = read_number(folder / "max_energy_range_uj").value
            counters.append(
                EnergyCounter(f"{name} ({folder.name})", folder / "energy_uj", wraps_at)
            )
    return tuple(counters)


def _meter_in_sysfs(kind: str, root: Path) -> tuple[Meter | None, str]:
    rails, counters = find_rails(root), find_counters(root)
    meter: Meter
    if rails:
        by_name = {rail.name: rail for rail in rails}
        total = next((names for names in TOTAL_RAILS if by_name.keys() >= set(names)), None)
        if not total:
            found = ", ".join(by_name)
            return None, f"which of the rails {found} feed the whole module is not known"
        meter = Ina3221(tuple(by_name[name] for name in total))
        problem = meter.read(0).problem
    elif counters:
        meter = Rapl(counters)
        problem = next(filter(None, (read_number(each.file).problem for each in counters)), "")
    else:
        return None, _NO_METER[kind]
    if "permission denied" in problem:
        problem += "; run as root, or let your user read it with `sudo chmod a+r FILE`"
    return (None, problem) if problem else (meter, "")


def _jtop(problem: str) -> tuple[Meter | None, str]:
    """jetson-stats, if this Python has it; problem: why nothing better could be read."""
    if not importlib.util.find_spec("jtop"):
        return None, f"{problem}; or install jetson-stats, whose service runs, for this Python"
    from jtop import JtopException, jtop

    client = jtop()
    try:
        client.start()
    except JtopException as error:
        return None, f"{problem}; jtop: {printable(str(error))}"
    return Jtop(client), ""


def _all(readings: Sequence[Number]) -> tuple[list[float], str]:
    """The values; none, and the first problem, unless all could be read."""
    problem = next((reading.problem for reading in readings if reading.problem), "")
    return [] if problem else [each.value for each in readings if each.value is not None], problem


def _plausible(watts: float, what: str) -> Number:
    good = 0 < watts < _MOST_W
    return Number(watts, "") if good else Number(None, f"{what}: reads {watts:g} W")
