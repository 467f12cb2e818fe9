"""What the system says of this process, and of all others."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

STATUS, STAT = Path("/proc/self/status"), Path("/proc/stat")

# Not getrusage's figure: in that Linux counts the program that started this one.
_LOOK_S = 0.5
_WAITING = (3, 4)  # the columns of /proc/stat that are no work: idle, waiting for a disk
_COLUMNS = 8  # up to what a virtual machine's host took away; the time of guests is in them
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def peak_rss_bytes(status: Path = STATUS) -> int | None:
    """The most memory that this process has had at once; None where the system does not tell.

    status: where Linux describes the process.
    """
    if not status.is_file():
        return None
    found = _PEAK.search(status.read_text(encoding="ascii", errors="replace"))
    return int(found[1]) * 1024 if found else None


def affinity() -> list[int] | None:
    """Numbers of the cores that it may use; None where there is no such thing."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def others_cores(stat: Path = STAT) -> float | None:
    """Cores that all but this process kept busy during half a second, in which this one sleeps.

    Not the load average, which remembers for minutes what has ended. None where the system does not
    tell. stat: where Linux counts the time of all cores.
    """
    before, ours, started = _busy_s(stat), time.process_time(), time.perf_counter()
    time.sleep(_LOOK_S)
    after, ours = _busy_s(stat), time.process_time() - ours
    if before is None or after is None:
        return None
    return max(0.0, after - before - ours) / (time.perf_counter() - started)


def _busy_s(stat: Path) -> float | None:
    if not stat.is_file():
        return None
    ticks = stat.read_text(encoding="ascii", errors="replace").split("\n")[0].split()[1:]
    work = [int(each) for each in ticks[:_COLUMNS] if each.isdigit()]
    if len(work) < _COLUMNS:
        return None
    return (sum(work) - sum(work[i] for i in _WAITING)) / os.sysconf("SC_CLK_TCK")
