"""JSON lines for as long as a camera runs: appended to a file that makes room for a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge_passd.files import naming
from edge_passd.sinks.json_lines import write_whole
from edge_passd.sinks.record import json_line
from edge_passd.sinks.sink import Result, Write

# A camera's file is bounded also where nobody asked: about a day at 10 frames per second.
DEFAULT_BYTES = 100_000_000
DEFAULT_KEEP = 5


@contextmanager
def rotated_lines(path: Path, limit: int, keep: int) -> Iterator[Write]:
    """Append to `path`; when a line would not fit into `limit` bytes, start the file anew.

    The one before becomes NAME.1, that one NAME.2, up to `keep` of them, so that all together
    stay below (keep + 1) * limit bytes (a line that is larger by itself apart). Each line is
    whole under its name as soon as it is written; nothing appears without a first line.
    """
    lines = _Rotated(path, limit, keep)

    def write(result: Result) -> bool:
        with naming(path):
            lines.add(json_line(result) + b"\n")
        return True

    try:
        yield write
    finally:
        lines.close()


class _Rotated:
    def __init__(self, path: Path, limit: int, keep: int) -> None:
        self._path, self._limit, self._keep = path, limit, keep
        self._file: BinaryIO | None = None
        self._size = 0

    def add(self, line: bytes) -> None:
        file = self._file or self._open()
        if self._size and self._size + len(line) > self._limit:
            self.close()
            self._rotate()
            file = self._open()
        write_whole(file, line)
        self._size += len(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = self._path.open("a+b", buffering=0)
        self._size = file.seek(0, os.SEEK_END)
        if self._size:
            # A power cut tears the last line: what comes next must not be glued to it.
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                write_whole(file, b"\n")
                self._size += 1
        return file

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                os.replace(older, self._numbered(number))
        if not self._keep:
            self._path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path
