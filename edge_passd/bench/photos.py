"""What is detected in while the clock runs: photos, decoded beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.photo import SUFFIXES, read_photo

MOST = 10  # of a folder, spread over it
CAT = Path(__file__).parent / "cat.jpg"  # CC0, by Stefan van der Walt


@dataclass(frozen=True)
class Photos:
    """source: as the row names it. images: (H, W, 3) uint8 BGR each, one or more."""

    source: str
    images: tuple[np.ndarray, ...]

    def to_dict(self) -> dict[str, Any]:
        """For the row; sizes are [width, height] in pixels."""
        sizes = [[image.shape[1], image.shape[0]] for image in self.images]
        return {"source": self.source, "count": len(self.images), "sizes": sizes}


def load_photos(source: Path | None) -> Photos:
    """A photo, up to `MOST` spread over a folder, or by default a cat.

    Raises BadInput for a path without photos or a photo that cannot be read.
    """
    source = source or CAT
    name = source.resolve().name if source.is_dir() else source.name
    return Photos(name, tuple(map(read_photo, choose_photos(source))))


def choose_photos(source: Path) -> list[Path]:
    """The photo, or those of a folder that `load_photos` takes; BadInput for one without photos."""
    if not source.is_dir():
        return [source]
    paths = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise BadInput(f"{source}: no photos there; give --photo a photo or a folder of them")
    chosen = np.linspace(0, len(paths) - 1, min(MOST, len(paths)), dtype=int)
    return [paths[number] for number in chosen]
