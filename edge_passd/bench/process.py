"""What the system says of this process."""

from __future__ import annotations

import os
import re
from pathlib import Path

STATUS = Path("/proc/self/status")

# Not getrusage's figure: in that Linux counts the program that started this one.
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
