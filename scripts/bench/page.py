"""What the scripts that write tables into the documentation share."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.files import write_text


def replace_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two markers of a page; both stay.

    Raises BadInput for a page without them.
    """
    before, has_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise BadInput(
            f"{page}: the markers are missing; put {begin} and {end} where the text goes"
        )
    write_text(page, f"{before}{begin}\n\n{text}\n{end}{after}")


def processor() -> str:
    """This machine's processor and its number of cores, in words."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"
