"""One real benchmark of the model that ships, which many tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from edge_passd.bench import process
from edge_passd.bench.bench import BenchOptions, bench
from edge_passd.bench.protocol import DEFAULT
from edge_passd.samples import DataSet, Sample

SHORT = replace(DEFAULT, iterations=4, seconds=0.0, warm_up_limit_s=0.0)
ANIMALS = ("dog", "cat", "sheep", "horse", "cow")
CAT_BOX = [8.0, 0.0, 420.0, 296.0]


@pytest.fixture(autouse=True, scope="session")
def look_briefly() -> Iterator[None]:
    """At what other programs do: it matters to no test here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_LOOK_S", 0.05)
        yield


@pytest.fixture(scope="session")
def cat_data(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """The cat, upright and mirrored, and a photo without any animal."""
    folder = tmp_path_factory.mktemp("cats")
    height, width = photo.shape[:2]
    x1, y1, x2, y2 = CAT_BOX
    boxes = ([CAT_BOX], [[width - x2, y1, width - x1, y2]], [])
    samples = []
    for number, (image, of) in enumerate(
        zip((photo, photo[:, ::-1], photo // 50), boxes, strict=True)
    ):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        none = np.zeros(len(of), bool)
        corners = np.array(of, np.float32).reshape(-1, 4)
        labels = np.full(len(of), ANIMALS.index("cat"))
        samples.append(Sample(number, path, width, height, corners, labels, none, none))
    return DataSet("cats val", ANIMALS, tuple(samples))


@pytest.fixture(scope="session")
def row_file(cat_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row with accuracy, as the command writes it."""
    path = tmp_path_factory.mktemp("row") / "row.json"
    options = BenchOptions(engine="onnxruntime", threads=1, protocol=SHORT, json=str(path))
    bench(options, cat_data, Console(quiet=True))
    return path


@pytest.fixture
def row(row_file: Path) -> dict[str, Any]:
    from edge_passd.bench.row import read_row

    return read_row(row_file)
