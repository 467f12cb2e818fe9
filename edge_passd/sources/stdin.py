"""Pictures from a pipe, one after another: `ffmpeg ... -f image2pipe -c:v mjpeg - | ... -`."""

from __future__ import annotations

import logging
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from threading import Event

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.photo import decode_photo
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.pictures import split_pictures
from edge_passd.sources.source import FALLBACK_FPS, Frame, Source, SourceState

_log = logging.getLogger(__name__)

STDIN = "-"
_LOOK_UP_S = 0.2  # from waiting for a picture, for the end of the run
_HINT = "pipe JPEGs or PNGs into it, as `ffmpeg -i FILE -f image2pipe -c:v mjpeg -` writes them"


def open_stdin(
    options: CameraOptions | None = None, report: Callable[[str], object] = _log.warning
) -> PictureStream:
    """The pictures on standard input; BadInput if it is a terminal or closed."""
    if sys.stdin is None or sys.stdin.closed:
        raise BadInput(f"standard input is closed; {_HINT}")
    if sys.stdin.isatty():
        raise BadInput(f"standard input is the terminal; {_HINT}")
    return PictureStream(sys.stdin.fileno(), options or CameraOptions(), report)


class PictureStream(Source):
    """Every picture, in order: the sender waits while one is looked at, so none is lost.

    One that is broken is passed over and counted in `state().dropped`; the first is reported.
    descriptor: of a file, pipe or socket; it stays open.
    """

    def __init__(
        self, descriptor: int, options: CameraOptions, report: Callable[[str], object]
    ) -> None:
        self.name = "stdin"
        self.fps = options.fps or FALLBACK_FPS
        self._descriptor, self._report = descriptor, report
        self._frames = self._broken = 0
        self._has_ended = False
        self._stop = Event()

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        for index, data in enumerate(split_pictures(self._read)):
            now = time.monotonic()
            start = now if start is None else start
            image = _decoded(data)
            if image is None:
                self._broken += 1
                if self._broken == 1:
                    self._report(
                        f"{self.name}: picture {index} is cut short or damaged; it is passed over, "
                        "and others like it will be without a word"
                    )
                continue
            self._frames += 1
            yield Frame(image, self.name, index, now - start, now)
        self._has_ended = not self._stop.is_set()

    def verdict(self) -> str | None:
        if self._frames or not self._has_ended:
            return None
        return f"{self.name}: it ended without a picture; {_HINT}"

    def state(self) -> SourceState:
        frames, broken = self._frames, self._broken
        has_ended = self._has_ended or self._stop.is_set()
        return SourceState(not has_ended, 0, frames + broken, broken)

    def interrupt(self) -> None:
        self._stop.set()

    def _read(self, size: int) -> bytes:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], _LOOK_UP_S)
            if ready:
                return os.read(self._descriptor, size)
        return b""


def _decoded(data: bytes | None) -> np.ndarray | None:
    if data is None:
        return None
    try:
        return decode_photo(data, STDIN)
    except BadInput:
        return None
