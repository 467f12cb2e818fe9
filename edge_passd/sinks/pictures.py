"""Photos with their boxes drawn, each file complete or absent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from edge_passd.files import naming, replacing
from edge_passd.sinks.sink import Result, Write


@contextmanager
def picture_file(path: Path) -> Iterator[Write]:
    """Write one picture to `path`; its suffix is the format."""

    def write(result: Result) -> bool:
        _save(path, result.picture)
        return True

    yield write


@contextmanager
def picture_folder(folder: Path, root: Path) -> Iterator[Write]:
    """Write each photo under `folder`, where it lies under `root`, which holds all photos."""

    def write(result: Result) -> bool:
        _save(folder / Path(result.frame.source).absolute().relative_to(root), result.picture)
        return True

    yield write


def _save(path: Path, picture: np.ndarray) -> None:
    # Encoded in memory first: Python reports a full disk, OpenCV's own writing does not.
    data = cv2.imencode(path.suffix, picture)[1].tobytes()
    with naming(path), replacing(path) as temporary:
        temporary.write_bytes(data)
