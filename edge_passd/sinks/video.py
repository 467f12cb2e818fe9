"""The frames with their boxes drawn, as an MP4 film that survives a kill."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from edge_passd.sinks.fragments import read_samples
from edge_passd.sinks.part_file import PartFile
from edge_passd.sinks.sink import Result, Write

_CODEC = "mp4v"  # the one that every OpenCV build can write
_FRAGMENT_S = 1.0
_MOST_FRAMES = 60  # of a fragment
_SLOWEST = Fraction(1, 1001)

# A night without the camera is not worth a night of the same picture, nor the time to write it.
LONGEST_PAUSE_S = 5.0


@contextmanager
def video_file(path: Path, fps: float, live: bool) -> Iterator[Write]:
    """Write to `path` (.mp4) at `fps` frames per second.

    While it is written it stands beside as NAME.part.mp4, which plays up to its last second at
    any moment, also after a kill; at the end it gets its name. live: frames were skipped, so each
    is repeated until the next is due and the film plays at the speed of life, but for pauses
    beyond `LONGEST_PAUSE_S`. Such a film cannot be made again, so it gets its name also when the
    block is left by an exception; another is thrown away then.
    Raises BadInput if a frame cannot be written; what was before it is kept.
    """
    with tempfile.TemporaryDirectory(prefix="edge-passd-") as folder:
        film = _Film(path, fps, Path(folder))

        cut = 0  # frames that outages would have taken

        def write(result: Result) -> bool:
            nonlocal cut
            times = 1
            if live:
                times = int(result.frame.time_s * fps) + 1 - film.frames - cut
                longest = max(1, round(fps * LONGEST_PAUSE_S))
                cut += max(0, times - longest)
                times = min(times, longest)
            film.add(result.picture, times)
            return True

        try:
            yield write
        except BaseException:
            if live:
                film.complete()
            else:
                film.discard()
            raise
        film.complete()


class _Film:
    """A film in the making. It takes the size of its first picture and scales the others.

    OpenCV writes one short film after the other into `folder`; each becomes a fragment.
    """

    def __init__(self, path: Path, fps: float, folder: Path) -> None:
        self.frames = 0
        self._path, self._fps = path, fps
        self._short = folder / "fragment.mp4"
        self._most = min(_MOST_FRAMES, max(1, round(fps * _FRAGMENT_S)))
        self._size = (0, 0)
        self._part: PartFile | None = None
        self._writer: cv2.VideoWriter | None = None

    def add(self, picture: np.ndarray, times: int) -> None:
        if self._part is None:
            self._size = (picture.shape[1], picture.shape[0])
            rate = max(_SLOWEST, Fraction(self._fps).limit_denominator(1001))
            self._part = PartFile(self._path, rate, self._size)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        for _ in range(times):
            self._writer = self._writer or self._open()
            self._writer.write(picture)
            self.frames += 1
            if self.frames - self._part.frames >= self._most:
                self._flush(self._part, self._writer)

    def complete(self) -> None:
        if self._part is None:
            return
        try:
            if self._writer is not None:
                self._flush(self._part, self._writer)
        finally:
            self._part.complete()

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.release()
        if self._part is not None:
            self._part.discard()

    def _flush(self, part: PartFile, writer: cv2.VideoWriter) -> None:
        self._writer = None
        writer.release()
        samples = read_samples(self._short.read_bytes())
        if samples.pictures:
            part.append(samples)
        # OpenCV says nothing when a write fails, so what it wrote has to tell.
        if part.frames < self.frames:
            raise part.failure(
                f"{part.frames} of {self.frames} frames reached the file; is the disk full?"
            )

    def _open(self) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*_CODEC)
        writer = cv2.VideoWriter(str(self._short), codec, self._fps, self._size)
        if not writer.isOpened():
            raise OSError(errno.EIO, "OpenCV cannot write an MP4 video there", str(self._short))
        return writer
