"""What a source is: an iterable of frames that knows what it can about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

FALLBACK_FPS = 25.0


@dataclass(frozen=True)
class Frame:
    """One picture.

    image: (H, W, 3) uint8 BGR. source: path, URL without credentials, "camera:N" or "stdin".
    index: counts from 0, of a camera or stream also the frames that were skipped.
    time_s: seconds since the first frame; 0 for a photo.
    captured_s: when it arrived, on the clock of `time.monotonic`; None for what comes from a file.
    """

    image: np.ndarray
    source: str
    index: int
    time_s: float
    captured_s: float | None = None


@dataclass(frozen=True)
class SourceState:
    """How a source fares at a moment.

    connected: frames come, or would if one asked. reconnects: how often it was lost and is back.
    frames: that arrived. dropped: of these, the ones nobody took because a newer one came, and
    those that could not be decoded. problem: one line without credentials, empty when all is well.
    """

    connected: bool = True
    reconnects: int = 0
    frames: int = 0
    dropped: int = 0
    problem: str = ""


class Source(ABC):
    """Iterate once; close it, or use it in a `with` block.

    name: as in `Frame.source`. files: what is read, so that no output overwrites it.
    length: frames to come, None where nobody knows. fps: nominal frames per second, None for
    photos. live: frames are skipped when the reader is slower than the source.
    """

    name: str
    files: frozenset[Path] = frozenset()
    length: int | None = None
    fps: float | None = None
    live: bool = False

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; raises BadInput when the source breaks and nothing more can come."""

    def verdict(self) -> str | None:
        """After the last frame: one line on what was wrong with the source as a whole, or None."""
        return None

    def state(self) -> SourceState:
        """How it fares now; may be called from any thread, also after `close`."""
        return SourceState()

    def interrupt(self) -> None:  # noqa: B027 - files never make one wait
        """From any thread: let an iteration end soon that waits for a frame."""

    def close(self) -> None:  # noqa: B027 - photos hold nothing open
        """Let go of the device or file."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that sources use; tests bring their own."""

    def isOpened(self) -> bool: ...

    def read(self) -> tuple[bool, np.ndarray | None]: ...

    def get(self, propId: int) -> float: ...

    def release(self) -> None: ...


def frame_rate(capture: Capture) -> float:
    """Nominal frames per second; 25 where the capture reports nothing usable."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps <= 1000 else FALLBACK_FPS


def frame_count(capture: Capture) -> int:
    """Frames that the container promises; 0 for a camera, a live stream or an unknown length."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < 2**31 else 0
