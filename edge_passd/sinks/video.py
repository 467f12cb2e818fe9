"""The frames with their boxes drawn, as an MP4 file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.files import replacing
from edge_passd.sinks.sink import Result, Write
from edge_passd.sources.source import frame_count

_CODEC = "mp4v"  # the one that every OpenCV build can write


@contextmanager
def video_file(path: Path, fps: float, live: bool) -> Iterator[Write]:
    """Write to `path` (.mp4) at `fps` frames per second.

    live: frames were skipped, so each is repeated until the next is due and the video plays at
    the speed of life. Raises OSError if the file cannot be opened, BadInput if it is not whole.
    """
    with replacing(path) as temporary:
        film = _Film(temporary, fps)

        def write(result: Result) -> bool:
            due = int(result.frame.time_s * fps) + 1 if live else film.frames + 1
            film.add(result.picture, due - film.frames)
            return True

        try:
            yield write
        finally:
            film.close()
        # OpenCV says nothing when a write fails, so the file itself has to tell. (It may hold one
        # more: Ctrl-C can fall between a write and its count.)
        reached = film.count()
        if reached < film.frames:
            raise BadInput(
                f"cannot write {path}: {reached} of {film.frames} frames reached the file; "
                "is the disk full?"
            )


class _Film:
    """An MP4 file in the making. It takes the size of its first picture and scales the others."""

    def __init__(self, path: Path, fps: float) -> None:
        self.frames = 0
        self._path, self._fps = path, fps
        self._size = (0, 0)
        self._writer: cv2.VideoWriter | None = None

    def add(self, picture: np.ndarray, times: int) -> None:
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._writer = self._open()
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        for _ in range(times):
            self._writer.write(picture)
            self.frames += 1

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()

    def count(self) -> int:
        """Frames in the file, as a reader sees it."""
        capture = cv2.VideoCapture(str(self._path))
        count = frame_count(capture)
        capture.release()
        return count

    def _open(self) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*_CODEC)
        writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
        if not writer.isOpened():
            raise OSError(errno.EIO, "OpenCV cannot write an MP4 video there", str(self._path))
        return writer
