"""A video with an end, read frame by frame: none is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_passd.sources.source import Capture, Frame, Source, frame_count, frame_rate


class Video(Source):
    """capture: an open one. path: of the file, None for a recording behind a URL."""

    def __init__(self, capture: Capture, name: str, path: Path | None = None) -> None:
        self.name = name
        self.files = frozenset({path.resolve()} if path else ())
        self.length = frame_count(capture) or None
        self.fps = frame_rate(capture)
        self._capture = capture
        self._decoded = 0
        self._ended = False

    def __iter__(self) -> Iterator[Frame]:
        while True:
            ok, image = self._capture.read()
            if not ok or image is None:
                self._ended = True
                return
            index = self._decoded
            self._decoded += 1
            yield Frame(image, self.name, index, index / (self.fps or 1))

    def verdict(self) -> str | None:
        if not self._ended:
            return None
        if not self._decoded:
            return f"{self.name}: not one frame of the video can be decoded; copy it again"
        promised = self.length or 0
        # Many containers state a duration, not a count: a frame or two, or a hundredth, is noise.
        if promised - self._decoded <= max(2, promised // 100):
            return None
        return (
            f"{self.name}: the video is cut short: it promises {promised} frames, "
            f"{self._decoded} could be decoded; copy it again"
        )

    def close(self) -> None:
        self._capture.release()
