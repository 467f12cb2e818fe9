"""One JSON object for each frame, one line each: into a new file, a pipe or standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge_passd.files import naming, replacing
from edge_passd.sinks.record import json_line
from edge_passd.sinks.sink import Result, Write

STDOUT = "-"


@contextmanager
def json_lines(target: str) -> Iterator[Write]:
    """Write to a file, or to standard output for "-".

    A target that exists and is no regular file (a pipe, a device) is written as results come.
    """
    path = Path(target)
    if target == STDOUT:
        sys.stdout.flush()
        buffer = sys.stdout.buffer
        # What stands in for standard output in a test has no raw file under it.
        yield _writer(getattr(buffer, "raw", buffer), Path("standard output"))
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
        # Without a buffer: whoever closes one waits for the writer inside it, and in a pipe that
        # nobody reads that would be forever.
        file = opened.open("wb", buffering=0)
    try:
        yield _writer(file, path)
    finally:
        with naming(path):
            file.close()


def _writer(file: BinaryIO, path: Path) -> Write:
    def write(result: Result) -> bool:
        with naming(path):
            write_whole(file, json_line(result) + b"\n")
        return True

    return write


def write_whole(file: BinaryIO, data: bytes) -> None:
    """Write all of it to a file without a buffer, which may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
