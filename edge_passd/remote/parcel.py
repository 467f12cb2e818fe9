"""What is copied to a board: a file or a folder, known there by the hash of all it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.samples import DataSet, Sample

_CHUNK = 1 << 18  # bytes


@dataclass(frozen=True)
class Entry:
    """One file. path: relative, it starts with the parcel's name. source: a file, or the bytes."""

    path: str
    size: int
    sha256: str
    source: Path | bytes


@dataclass(frozen=True)
class Parcel:
    """name: of the file or folder that it becomes. origin: what the user calls it."""

    name: str
    origin: str
    entries: tuple[Entry, ...]

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digits that differ for other names or content."""
        content = [[entry.path, entry.sha256] for entry in self.entries]
        return hashlib.sha256(json.dumps([self.name, content]).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def header(self) -> dict[str, Any]:
        """What the board is told before the bytes come."""
        entries = [[entry.path, entry.size, entry.sha256] for entry in self.entries]
        return {"digest": self.digest, "entries": entries}

    def chunks(self) -> Iterator[bytes]:
        """The bytes of all files, one after the other; BadInput for one that became shorter."""
        for entry in self.entries:
            if isinstance(entry.source, bytes):
                yield entry.source
            else:
                yield from _chunks(entry.source, entry.size)


def file_parcel(path: Path, what: str) -> Parcel:
    """A file under its own name. what: it is, with its article. BadInput if it cannot be read."""
    return Parcel(_text(path.name, path), str(path), (_entry(path.name, path, what),))


def bytes_parcel(name: str, data: bytes) -> Parcel:
    """A file that is only in memory."""
    return Parcel(name, name, (_made(name, data),))


def photos_parcel(folder: Path, photos: Iterable[Path]) -> Parcel:
    """Some photos of a folder, as a folder of the same name."""
    name = _text(folder.resolve().name or "photos", folder)
    entries = [_entry(f"{name}/{_text(path.name, path)}", path, "a photo") for path in photos]
    return Parcel(name, str(folder), tuple(entries))


def data_parcel(root: Path, split: str, data: DataSet) -> Parcel:
    """A split with its photos in COCO form, whatever form it has here.

    Reading it gives `data` again: name, classes, photos in their order, and boxes to the last bit,
    unless an edge is within a ten-thousandth of a pixel from 0 but not on it.
    """
    if "/" in split:
        raise BadInput(f"--remote: the split {split!r} is a path; give the name of a split")
    name = _text(root.resolve().name or "data", root)
    # Photos of one name may come from different folders.
    files = [f"{n:06}/{_text(each.path.name, each.path)}" for n, each in enumerate(data.samples)]
    photos = [
        _entry(f"{name}/images/{file}", sample.path, "a photo")
        for file, sample in zip(files, data.samples, strict=True)
    ]
    annotations = json.dumps(_coco(data, files)).encode()
    made = _made(f"{name}/{_text(split, root)}.json", annotations)
    return Parcel(name, str(root), (made, *photos))


def _coco(data: DataSet, files: list[str]) -> dict[str, Any]:
    images = [
        {"id": each.image_id, "file_name": file, "width": each.width, "height": each.height}
        for file, each in zip(files, data.samples, strict=True)
    ]
    objects = [entry for sample in data.samples for entry in _objects(sample)]
    return {
        "images": images,
        "annotations": [{"id": n, **entry} for n, entry in enumerate(objects)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(data.classes)],
    }


def _objects(sample: Sample) -> Iterator[dict[str, Any]]:
    # Python's floats have 29 bits more than float32, enough for exact differences of corners.
    columns = (sample.boxes, sample.labels, sample.difficult, sample.crowd)
    for (x1, y1, x2, y2), label, difficult, crowd in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        yield {
            "image_id": sample.image_id,
            "category_id": label,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "difficult": int(difficult),
            "iscrowd": int(crowd),
        }


def _made(path: str, data: bytes) -> Entry:
    return Entry(path, len(data), hashlib.sha256(data).hexdigest(), data)


def _entry(path: str, source: Path, what: str) -> Entry:
    require_file(source, what)
    size = source.stat().st_size
    digest = hashlib.sha256()
    for chunk in _chunks(source, size):
        digest.update(chunk)
    return Entry(path, size, digest.hexdigest(), source)


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb") as file:
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                raise BadInput(f"{path} became shorter while it was read; try again")
            left -= len(chunk)
            yield chunk


def _text(name: str, path: Path) -> str:
    """The name; BadInput unless it is Unicode, which every file system and JSON can hold."""
    if name.encode("utf-8", "replace").decode() != name:
        raise BadInput(f"--remote: {str(path)!r}: its name is not UTF-8; rename it")
    return name
