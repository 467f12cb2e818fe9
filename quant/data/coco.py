"""Annotations in COCO's JSON form."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.files import read_json
from edge_passd.samples import DataSet, Sample


def read_coco(annotations: Path, images: Path, name: str) -> DataSet:
    """The split `name` from a COCO JSON file and the folder of its photos.

    Classes are the categories in the order of their ids. Photos without annotations stay, with no
    boxes. Boxes are taken as they stand; `quant.data.checks.check` clips and drops.
    Raises BadInput that names the file and the entry.
    """
    document = read_json(annotations, "annotations with images, annotations and categories")
    categories = _entries(annotations, document, "categories", id=int, name=str)
    photos = _entries(annotations, document, "images", id=int, file_name=str, width=int, height=int)
    objects = _entries(
        annotations, document, "annotations", id=int, image_id=int, category_id=int, bbox=list
    )
    by_id = sorted(_by_id(annotations, "category", categories).items())
    label_of = {category_id: label for label, (category_id, _) in enumerate(by_id)}
    known = _by_id(annotations, "image", photos)

    objects_of: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in objects:
        _check_object(annotations, entry, known, label_of)
        objects_of[entry["image_id"]].append(entry)
    samples = tuple(_sample(images, photo, objects_of[photo["id"]], label_of) for photo in photos)
    return DataSet(name, tuple(category["name"] for _, category in by_id), samples)


def _sample(
    images: Path,
    photo: dict[str, Any],
    objects: list[dict[str, Any]],
    label_of: dict[int, int],
) -> Sample:
    boxes = np.array([entry["bbox"] for entry in objects], np.float64).reshape(-1, 4)
    with np.errstate(all="ignore"):  # what is not finite is for the checks to count and drop
        boxes[:, 2:] += boxes[:, :2]
        boxes = boxes.astype(np.float32)
    return Sample(
        image_id=photo["id"],
        path=images / photo["file_name"],
        width=photo["width"],
        height=photo["height"],
        boxes=boxes,
        labels=np.array([label_of[entry["category_id"]] for entry in objects], np.int64),
        difficult=np.array([bool(entry.get("difficult", 0)) for entry in objects], bool),
        crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in objects], bool),
    )


def _entries(
    path: Path, document: dict[str, Any], key: str, **fields: type
) -> list[dict[str, Any]]:
    """The list under `key`, each entry an object that has `fields` of the given types."""
    entries = document.get(key)
    if not isinstance(entries, list):
        raise BadInput(f"{path}: has no list {key!r}; COCO form needs it")
    for position, entry in enumerate(entries):
        where = f"{path}: {key}[{position}]"
        if not isinstance(entry, dict):
            raise BadInput(f"{where} must be an object, not {entry!r:.40}")
        where += f" (id {entry.get('id')})"
        for field, kind in fields.items():
            if field not in entry:
                raise BadInput(f"{where} has no {field!r}; add it")
            # bool is an int to Python, not to COCO.
            if not isinstance(entry[field], kind) or isinstance(entry[field], bool):
                raise BadInput(
                    f"{where}: {field!r} must be of type {kind.__name__}, not {entry[field]!r:.40}"
                )
    return entries


def _by_id(path: Path, kind: str, entries: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if entry["id"] in found:
            raise BadInput(f"{path}: {kind} id {entry['id']} stands twice; ids must be unique")
        found[entry["id"]] = entry
    return found


def _check_object(
    path: Path, entry: dict[str, Any], images: dict[int, Any], label_of: dict[int, int]
) -> None:
    where = f"{path}: annotation {entry['id']}"
    if entry["image_id"] not in images:
        raise BadInput(
            f"{where} is of image {entry['image_id']}, which is not under 'images'; "
            "add the image or remove the annotation"
        )
    if entry["category_id"] not in label_of:
        raise BadInput(
            f"{where} has category {entry['category_id']}, which is not under 'categories'; "
            f"the categories are {sorted(label_of)}"
        )
    if len(entry["bbox"]) != 4 or not all(_is_number(value) for value in entry["bbox"]):
        raise BadInput(f"{where}: 'bbox' must be 4 numbers x, y, w, h, not {entry['bbox']!r:.60}")


def _is_number(value: object) -> bool:
    """True for a JSON number that a float can hold."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**53)
