"""Photos and videos on disk, to run on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def fill_album(folder: Path, photos: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, image in photos.items():
        cv2.imwrite(str(folder / name), image)
    (folder / "notes.txt").write_text("three photos\n")
    return folder


def film(path: Path, frames: int = 12, codec: str = "mp4v", side: int = 64) -> Path:
    """Write a video of 10 frames per second: frame i is grey of brightness 8 * i % 256."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10.0, (side, side))
    for index in range(frames):
        writer.write(np.full((side, side, 3), 8 * index % 256, np.uint8))
    writer.release()
    return path
