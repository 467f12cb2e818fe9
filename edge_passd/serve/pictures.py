"""The newest picture as JPEG: encoded when somebody wants it, once for all who do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np

from edge_passd.sinks.sink import Result

LONGEST_SIDE = 1280  # pixels; a larger picture is shrunk, for it has to reach a phone
_QUALITY = 80


@dataclass(frozen=True)
class Picture:
    """number: of the result, counted from 1. jpeg: the whole file."""

    number: int
    jpeg: bytes


class Pictures:
    """Holds the newest result only. All but `offer` belongs to the thread of `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = Lock()
        self._number = 0
        self._newest: Result | None = None
        self._is_waking = False
        self._arrival = asyncio.Event()
        self._encoded = 0  # number of the result that the task below encodes
        self._encoding: asyncio.Task[Picture] | None = None

    def offer(self, result: Result) -> None:
        """Take the place of the result before; from any thread, and at once."""
        with self._lock:
            self._number, self._newest = self._number + 1, result
            # One wake-up under way is enough: were the loop held up, they would pile up in it.
            must_wake, self._is_waking = not self._is_waking, True
        if must_wake:
            self._loop.call_soon_threadsafe(self._wake)

    async def newer_than(self, number: int) -> Picture:
        """The newest picture, as soon as there is one with a greater number."""
        newest, result = self._look()
        while result is None or newest <= number:
            await self._arrival.wait()
            newest, result = self._look()
        # One encoding at a time: who comes meanwhile shares the one that is being made, which is
        # of a later result than any picture that is out.
        if self._encoding is None or (self._encoding.done() and self._encoded < newest):
            work = asyncio.to_thread(_encode, newest, result)
            self._encoding, self._encoded = asyncio.create_task(work), newest
        return await asyncio.shield(self._encoding)

    def _look(self) -> tuple[int, Result | None]:
        with self._lock:
            return self._number, self._newest

    def _wake(self) -> None:
        with self._lock:
            self._is_waking = False
        self._arrival.set()
        self._arrival = asyncio.Event()


def _encode(number: int, result: Result) -> Picture:
    return Picture(number, encode(result.picture))


def encode(picture: np.ndarray) -> bytes:
    """(H, W, 3) uint8 BGR to a JPEG file of at most LONGEST_SIDE pixels a side."""
    height, width = picture.shape[:2]
    shrink = LONGEST_SIDE / max(height, width)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
