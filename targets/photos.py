"""The photos that a compiled model is checked with."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.photo import SUFFIXES

MOST = 20  # a photo takes half a second in the exact arithmetic


def gate_photos(source: Path | None) -> list[Path]:
    """A photo, up to `MOST` photos spread over a folder, or pictures of our own making.

    Raises BadInput for a path without photos.
    """
    if source is None:
        return [*_made_up()]
    if source.is_file():
        return [source]
    photos = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not photos:
        raise BadInput(f"{source}: no photos there; give --photos a photo or a folder of them")
    return [photos[i] for i in np.linspace(0, len(photos) - 1, min(MOST, len(photos)), dtype=int)]


@cache
def _made_up() -> tuple[Path, ...]:
    """Blots of many sizes and colours, which excite a detector's layers as photos do."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    random = np.random.default_rng(0)
    paths = []
    for i in range(4):
        image = np.zeros((480, 640, 3))
        for size in (3, 12, 48):
            noise = random.normal(0, 1, (480 // size + 1, 640 // size + 1, 3))
            image += cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
        path = Path(folder.name, f"made-up-{i}.png")
        cv2.imwrite(str(path), np.clip(128 + 45 * image, 0, 255).astype(np.uint8))
        paths.append(path)
    return tuple(paths)
