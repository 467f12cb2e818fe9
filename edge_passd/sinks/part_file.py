"""A film on the disk while it grows: whole up to its last fragment, under a name that says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import BinaryIO

from edge_passd.errors import BadInput
from edge_passd.files import naming
from edge_passd.sinks.fragments import Samples, fragment, header
from edge_passd.sinks.json_lines import write_whole

_SYNC_EVERY = 5  # fragments reach the disk; each one by itself would wear out a memory card


class PartFile:
    """NAME.part.mp4, or NAME.part2.mp4 where that one is taken, until it becomes NAME.mp4."""

    def __init__(self, path: Path, fps: Fraction, size: tuple[int, int]) -> None:
        """Create it, and the folders above. size: width and height in pixels."""
        self.frames = 0
        self._path, self._fps, self._size = path, fps, size
        self._fragments = self._length = 0
        self._failed = False
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part, self._file = _create(path)

    def append(self, samples: Samples) -> None:
        """Add a fragment. Raises BadInput where it cannot be written; what was before is kept."""
        number, start = self._fragments + 1, self.frames * self._fps.denominator
        data = fragment(number, start, samples.pictures)
        if not self._fragments:
            data = header(samples.description, *self._size, self._fps) + data
        try:
            write_whole(self._file, data)
            if number % _SYNC_EVERY == 0:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self.failure(error.strerror or str(error)) from error
        self._fragments, self._length = number, self._length + len(data)
        self.frames += len(samples.pictures)

    def failure(self, reason: str) -> BadInput:
        """Give up: keep the whole fragments, if there are any; the error to raise."""
        self._failed = True
        self._file.truncate(self._length)
        if not self._fragments:
            self._part.unlink()
            return BadInput(f"cannot write {self._path}: {reason}")
        return BadInput(
            f"cannot write {self._path}: {reason}; {self.frames} frames are kept in {self._part}"
        )

    def complete(self) -> None:
        """Give it its name, unless it is a failure."""
        with naming(self._path):
            if not self._failed:
                os.fsync(self._file.fileno())
            self._file.close()
            if not self._failed:
                os.replace(self._part, self._path)

    def discard(self) -> None:
        self._file.close()
        if not self._failed:
            self._part.unlink(missing_ok=True)


def left_over(path: Path) -> Path | None:
    """The first unfinished film of that name that is there already, or None."""
    first = next(_names(path))
    return first if first.exists() else None


def _create(path: Path) -> tuple[Path, BinaryIO]:
    """The first of the names that is free; created, so that no other run takes it."""
    part = next(name for name in _names(path) if not name.exists())
    return part, part.open("xb", buffering=0)


def _names(path: Path) -> Iterator[Path]:
    for number in count(1):
        suffix = "part" if number == 1 else f"part{number}"
        yield path.with_name(f"{path.stem}.{suffix}{path.suffix}")
