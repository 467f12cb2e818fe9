"""The clocks of the processor's cores and of a Jetson's GPU: governor, now, and the range."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_passd.board.sysfs import children, read_line, read_number, read_text

_CPUS = Path("sys/devices/system/cpu")
_DEVFREQ = Path("sys/class/devfreq")
# The driver names the device after its address: 57000000.gpu on Nano, .gv11b on Xavier, .ga10b on
# Orin with JetPack 5, .gpu with 6; Thor names a part of the GPU.
_GPU = r"[0-9a-f]+\.(gpu|gm20b|gp10b|gv11b|ga10b)|gpu-gpc-0"
_KHZ, _HZ = 1e3, 1e6  # of one MHz
_FASTEST_MHZ = 20_000  # above this a file holds garbage, and no clock
_CPUINFO_MHZ = re.compile(r"^cpu MHz\s*:\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Clock:
    """One clock; what cannot be read is None.

    name: "cpu0" or the GPU's device. mhz: now. min_mhz, max_mhz: what the governor may choose.
    """

    name: str
    governor: str | None
    mhz: float | None
    min_mhz: float | None
    max_mhz: float | None

    @property
    def locked(self) -> bool | None:
        """Whether there is but one clock to choose; None if unknown."""
        if self.min_mhz is None or self.max_mhz is None:
            return None
        return self.min_mhz == self.max_mhz


@dataclass(frozen=True)
class Clocks:
    """cores: those that are on. gpu: None if the machine tells of none."""

    cores: tuple[Clock, ...]
    gpu: Clock | None

    @property
    def governor(self) -> str | None:
        """That of all cores, or those there are, as in "ondemand, performance"."""
        return ", ".join(sorted({core.governor for core in self.cores if core.governor})) or None

    @property
    def locked(self) -> bool | None:
        """Whether all clocks are locked, as `jetson_clocks` does it; None if unknown."""
        clocks = [*self.cores, *([self.gpu] if self.gpu else [])]
        known = [clock.locked for clock in clocks if clock.locked is not None]
        return all(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "governor": self.governor,
            "cores": [asdict(core) for core in self.cores],
            "gpu": asdict(self.gpu) if self.gpu else None,
        }


def read_clocks(root: Path = Path("/")) -> Clocks:
    """All clocks of the machine whose files are under `root`."""
    cores = [_core(folder) for folder in children(root / _CPUS, r"cpu[0-9]+") if _is_on(folder)]
    gpu = _gpu_folder(root)
    return Clocks(tuple(cores), _clock(gpu, gpu.name, "", "governor", _HZ) if gpu else None)


def cpu_mhz(root: Path = Path("/")) -> float | None:
    """The clock, now, of the core that is fastest now; None if unknown.

    Cheap enough to be called while something is measured: cores of one policy share a clock.
    """
    policies = children(root / _CPUS / "cpufreq", r"policy[0-9]+")
    clocks = [_mhz(policy / "scaling_cur_freq", _KHZ) for policy in policies]
    known = [clock for clock in clocks if clock is not None]
    if not known:  # a virtual machine has no say in its clock, but may know it
        text = read_text(root / "proc/cpuinfo").text or ""
        known = [float(clock) for clock in _CPUINFO_MHZ.findall(text) if _plausible(float(clock))]
    return max(known, default=None)


def gpu_mhz(root: Path = Path("/")) -> float | None:
    """The clock of the GPU now; None if there is none or it is unknown."""
    folder = _gpu_folder(root)
    return _mhz(folder / "cur_freq", _HZ) if folder else None


def _is_on(core: Path) -> bool:
    return read_number(core / "online").value != 0  # the first core, never off, lacks the file


def _core(folder: Path) -> Clock:
    return _clock(folder / "cpufreq", folder.name, "scaling_", "scaling_governor", _KHZ)


def _clock(folder: Path, name: str, prefix: str, governor: str, unit: float) -> Clock:
    files = (folder / f"{prefix}{each}_freq" for each in ("cur", "min", "max"))
    return Clock(name, read_line(folder / governor) or None, *(_mhz(file, unit) for file in files))


def _gpu_folder(root: Path) -> Path | None:
    return next(iter(children(root / _DEVFREQ, _GPU)), None)


def _mhz(path: Path, unit: float) -> float | None:
    value = read_number(path).value
    return value / unit if value is not None and _plausible(value / unit) else None


def _plausible(mhz: float) -> bool:
    return 0 < mhz <= _FASTEST_MHZ
