"""Real photos that ship with scikit-image, and small data sets made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data as photographs

from edge_passd.samples import DataSet, Sample

NAMES = ("chelsea", "astronaut", "coffee")


@pytest.fixture(scope="session")
def photos() -> dict[str, np.ndarray]:
    """(H, W, 3) uint8 BGR: cat 300x451, astronaut 512x512, coffee 400x600."""
    pictures = {name: getattr(photographs, name)() for name in NAMES}
    return {name: np.ascontiguousarray(picture[:, :, ::-1]) for name, picture in pictures.items()}


@pytest.fixture
def save_photos(photos: dict[str, np.ndarray]) -> Callable[[Path, str], list[Path]]:
    """Writes the three photos into a folder; returns their paths."""

    def save(folder: Path, suffix: str = ".jpg") -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{name}{suffix}" for name in NAMES]
        for path in paths:
            cv2.imwrite(str(path), photos[path.stem])
        return paths

    return save


@pytest.fixture
def coco_document() -> dict[str, Any]:
    """Valid COCO annotations: a cat, an astronaut (a crowd of it too), and coffee without boxes."""
    return {
        "images": [
            {"id": 7, "file_name": "chelsea.jpg", "width": 451, "height": 300},
            {"id": 3, "file_name": "astronaut.jpg", "width": 512, "height": 512},
            {"id": 9, "file_name": "coffee.jpg", "width": 600, "height": 400},
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 2, "bbox": [100, 20, 250.5, 400]},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [50, 40, 300, 200], "difficult": 1},
            {"id": 3, "image_id": 3, "category_id": 2, "bbox": [0, 0, 30, 40], "iscrowd": 1},
        ],
        "categories": [{"id": 5, "name": "cat"}, {"id": 2, "name": "person"}],
    }


@pytest.fixture
def coco_folder(
    tmp_path: Path,
    save_photos: Callable[..., list[Path]],
    coco_document: dict[str, Any],
) -> Path:
    """A data set in COCO form whose train and val splits are the same."""
    save_photos(tmp_path / "images")
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").write_text(json.dumps(coco_document))
    return tmp_path


@pytest.fixture
def voc_folder(tmp_path: Path, save_photos: Callable[..., list[Path]]) -> Path:
    """The same objects in VOC form: cat and person in train, the empty photo in val."""
    root = tmp_path / "voc"
    save_photos(root / "JPEGImages")
    (root / "Annotations").mkdir()
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("chelsea\nastronaut\n")
    (lists / "val.txt").write_text("coffee\n")
    write_xml(root, "chelsea", (451, 300), [("cat", (51, 41, 350, 240), 1)])
    write_xml(root, "astronaut", (512, 512), [("person", (101, 21, 350.5, 420), 0)])
    write_xml(root, "coffee", (600, 400), [])
    return root


def write_xml(
    root: Path, stem: str, size: tuple[int, int], objects: list[tuple[str, tuple[float, ...], int]]
) -> None:
    """One VOC annotation; an object is its name, its four edges and whether it is difficult."""
    found = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{edges[0]}"
        f"</xmin><ymin>{edges[1]}</ymin><xmax>{edges[2]}</xmax><ymax>{edges[3]}</ymax></bndbox>"
        "</object>"
        for name, edges, difficult in objects
    )
    (root / "Annotations" / f"{stem}.xml").write_text(
        f"<annotation><filename>{stem}.jpg</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{found}</annotation>"
    )


@pytest.fixture
def make_sample(photos: dict[str, np.ndarray]) -> Callable[..., Sample]:
    """A sample of the photo at a path, with the boxes given (corners) and as many labels of 0."""

    def make(path: Path, boxes: list[list[float]], **changes: Any) -> Sample:
        height, width = photos[path.stem].shape[:2]
        values: dict[str, Any] = {
            "image_id": NAMES.index(path.stem),
            "path": path,
            "width": width,
            "height": height,
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "labels": np.zeros(len(boxes), np.int64),
            "difficult": np.zeros(len(boxes), bool),
            "crowd": np.zeros(len(boxes), bool),
        }
        return Sample(**{**values, **changes})

    return make


@pytest.fixture
def animals(
    tmp_path: Path, save_photos: Callable[..., list[Path]], make_sample: Callable[..., Sample]
) -> DataSet:
    """Nine samples of the three photos, with one, two and no boxes."""
    boxes: tuple[list[list[float]], ...] = (
        [[120, 30, 340, 260]],
        [[150, 40, 300, 300], [20, 300, 480, 500]],
        [],
    )
    paths = save_photos(tmp_path / "photos", ".png")
    samples = [make_sample(path, of) for path, of in zip(paths, boxes, strict=True)] * 3
    return DataSet("train", ("thing",), tuple(samples))
