"""A memory cache of photos, so that a training decodes each of them once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.photo import read_photo

Progress = Callable[[int, int], None]  # photos done, photos in all

_FALLBACK_MEMORY = 4 * 2**30  # bytes, where the system does not tell what is available


@dataclass(frozen=True)
class Photo:
    """A decoded photo, perhaps kept smaller than it is on disk.

    pixels: (h, w, 3) uint8 BGR, as stored: an EXIF orientation is not applied, for boxes are in
    pixels of the stored photo. width, height: of the stored photo, pixels.
    """

    pixels: np.ndarray
    width: int
    height: int

    def scaled(self, boxes: np.ndarray) -> np.ndarray:
        """(M, 4) float32 corners in pixels of the stored photo to pixels of `pixels`."""
        h, w = self.pixels.shape[:2]
        factors = (w / self.width, h / self.height) * 2
        return boxes * np.array(factors, np.float32)


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
        """The photo at `path`; raises BadInput for one that cannot be read."""
        kept = self._photos.get(path)
        return kept if kept is not None else self._read(path)

    def fill(
        self, paths: Sequence[Path], progress: Progress | None = None, threads: int | None = None
    ) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
        """Decode all photos, keep what fits, and tell what was found.

        Returns (width, height) in pixels of each readable photo as stored, and for each of the
        others a text that names it and says what is wrong.
        """
        sizes: dict[Path, tuple[int, int]] = {}
        problems: dict[Path, str] = {}
        pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
        try:
            outcomes = zip(paths, pool.map(self._try, paths), strict=True)
            for done, (path, photo) in enumerate(outcomes, 1):
                if isinstance(photo, Photo):
                    sizes[path] = (photo.width, photo.height)
                    self._keep(path, photo)
                else:
                    problems[path] = photo
                if progress is not None:
                    progress(done, len(paths))
        finally:  # an interrupted check stops at once
            pool.shutdown(cancel_futures=True)
        return sizes, problems

    def _try(self, path: Path) -> Photo | str:
        """The photo, or what is wrong with it."""
        try:
            return self.photo(path)
        except (BadInput, OSError) as error:
            return str(error)

    def _keep(self, path: Path, photo: Photo) -> None:
        if path not in self._photos and self.used + photo.pixels.nbytes <= self.limit:
            self._photos[path] = photo
            self.used += photo.pixels.nbytes

    def _read(self, path: Path) -> Photo:
        pixels = read_photo(path, upright=False)
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
