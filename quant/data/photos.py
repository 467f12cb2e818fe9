"""Photos from disk to BGR pixels, and a memory cache so that each is decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput

Progress = Callable[[int, int], None]  # photos done, photos in all

_FALLBACK_MEMORY = 4 * 2**30  # bytes, where the system does not tell what is available
_PNG, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"
_JPEG, _SCAN, _JPEG_END = b"\xff\xd8", 0xDA, b"\xff\xd9"


@dataclass(frozen=True)
class Photo:
    """A decoded photo, perhaps stored smaller than it is on disk.

    pixels: (h, w, 3) uint8 BGR. width, height: of the stored photo, pixels.
    """

    pixels: np.ndarray
    width: int
    height: int

    def scaled(self, boxes: np.ndarray) -> np.ndarray:
        """(M, 4) float32 corners in pixels of the stored photo to pixels of `pixels`."""
        h, w = self.pixels.shape[:2]
        factors = (w / self.width, h / self.height) * 2
        return boxes * np.array(factors, np.float32)


def read_photo(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 BGR of the photo as stored: an EXIF orientation is not applied.

    Raises BadInput for a file that cannot be opened, is empty, cut short or not a picture.
    """
    problem, pixels = _decode(path)
    if pixels is None:
        raise BadInput(f"{path}: photo {problem}; replace it or take it out of the annotations")
    return pixels


class PhotoCache:
    """Decoded photos in memory up to a byte limit; those beyond it are decoded when asked for.

    Fill it before worker processes fork and they share its memory. A pickled copy (workers that
    are spawned) starts empty, so that no photo is sent through a pipe.

    limit: bytes; by default half of the memory available when the cache is made.
    max_side: photos with a longer side are kept shrunk to it (pixels); None keeps them as stored.
    """

    def __init__(self, limit: int | None = None, max_side: int | None = None) -> None:
        self.limit = available_memory() // 2 if limit is None else limit
        self.max_side = max_side
        self.used = 0
        self._photos: dict[Path, Photo] = {}

    def __len__(self) -> int:
        return len(self._photos)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "used": 0, "_photos": {}}

    def photo(self, path: Path) -> Photo:
        """The photo at `path`; raises BadInput as `read_photo` does."""
        kept = self._photos.get(path)
        return kept if kept is not None else self._shrunk(read_photo(path))

    def fill(
        self, paths: Sequence[Path], progress: Progress | None = None, threads: int | None = None
    ) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
        """Decode all photos, keep what fits, and tell what was found.

        Returns (width, height) in pixels of each readable photo as stored, and what is wrong
        with each of the others.
        """
        sizes: dict[Path, tuple[int, int]] = {}
        problems: dict[Path, str] = {}
        pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
        try:
            for done, (path, problem, photo) in enumerate(pool.map(self._load, paths), 1):
                if photo is None:
                    problems[path] = problem
                else:
                    sizes[path] = (photo.width, photo.height)
                    self._keep(path, photo)
                if progress is not None:
                    progress(done, len(paths))
        finally:  # an interrupted check stops at once
            pool.shutdown(cancel_futures=True)
        return sizes, problems

    def _load(self, path: Path) -> tuple[Path, str, Photo | None]:
        if path in self._photos:
            return path, "", self._photos[path]
        problem, pixels = _decode(path)
        return path, problem, None if pixels is None else self._shrunk(pixels)

    def _keep(self, path: Path, photo: Photo) -> None:
        if path not in self._photos and self.used + photo.pixels.nbytes <= self.limit:
            self._photos[path] = photo
            self.used += photo.pixels.nbytes

    def _shrunk(self, pixels: np.ndarray) -> Photo:
        height, width = pixels.shape[:2]
        if self.max_side is not None and max(width, height) > self.max_side:
            factor = self.max_side / max(width, height)
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return Photo(pixels, width, height)


def available_memory() -> int:
    """Bytes of memory that can be taken without swapping, at most a container's limit."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return _FALLBACK_MEMORY
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    container = Path("/sys/fs/cgroup/memory.max")
    limit = container.read_text().strip() if container.exists() else "max"
    return available if limit == "max" else min(available, int(limit))


def _decode(path: Path) -> tuple[str, np.ndarray | None]:
    """What is wrong with the photo (or an empty text), and its pixels."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return f"cannot be opened ({getattr(error, 'strerror', error)})", None
    if not data:
        return "is empty (0 bytes)", None
    if _is_cut_short(data):
        return "is cut short", None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # more pixels than OpenCV agrees to decode
        return "is too large to decode", None
    return ("", pixels) if pixels is not None else ("is not a readable picture", None)


def _is_cut_short(data: bytes) -> bool:
    """True for a PNG or JPEG without its end: OpenCV 4 fills what is missing with grey.

    In a JPEG only what follows the start of the scan counts; an embedded thumbnail has its own end.
    """
    if data.startswith(_PNG):
        return _PNG_END not in data
    if not data.startswith(_JPEG):
        return False
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(_JPEG_END, at) < 0
