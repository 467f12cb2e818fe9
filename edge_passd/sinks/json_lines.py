"""One JSON object for each frame, one line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from edge_passd.files import naming, replacing
from edge_passd.sinks.sink import Result, Write

STDOUT = "-"


@contextmanager
def json_lines(target: str) -> Iterator[Write]:
    """Write to a file, or to standard output for "-".

    A target that exists and is no regular file (a pipe, a device) is written as results come.
    """
    path = Path(target)
    if target == STDOUT:
        yield _writer(sys.stdout, Path("standard output"))
    elif path.exists() and not path.is_file():
        with _lines(path, path) as write:
            yield write
    else:
        with replacing(path) as temporary, _lines(temporary, path) as write:
            yield write


@contextmanager
def _lines(opened: Path, path: Path) -> Iterator[Write]:
    """Write to `opened`; errors name `path`, which the user knows."""
    with naming(path):
        file = opened.open("w", encoding="utf-8")
    try:
        yield _writer(file, path)
    finally:
        with naming(path):
            file.close()


def _writer(file: TextIO, path: Path) -> Write:
    def write(result: Result) -> bool:
        frame = result.frame
        line = {
            "source": frame.source,
            "frame": frame.index,
            "time_s": round(frame.time_s, 3),
            "detections": result.detections.to_dict(),
        }
        with naming(path):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
        return True

    return write
