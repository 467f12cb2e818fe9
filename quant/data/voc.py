"""Annotations in the form of the PASCAL VOC challenge: one XML file per photo."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.samples import DataSet, Sample

_CLASS_SPLITS = ("train", "val")
_EDGES = ("bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax")


def read_voc(root: Path, split: str) -> DataSet:
    """The photos listed in ImageSets/Main/{split}.txt.

    Classes are the lines of `labels.txt` in the root where it stands, else the sorted names found
    in the annotations of train and val together. VOC's boxes count pixels from 1 and include the
    last one; here they are corners (xmin - 1, ymin - 1, xmax, ymax).
    Raises BadInput that names the file.
    """
    classes = _classes(root)
    label_of = {name: label for label, name in enumerate(classes)}
    samples = (
        _sample(root, stem, image_id, label_of)
        for image_id, stem in enumerate(_lines(_list_file(root, split)), 1)
    )
    return DataSet(split, classes, tuple(samples))


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses DOCTYPE, and with it entities: a small file must not unfold into gigabytes."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("a DOCTYPE is not allowed here")


def _sample(root: Path, stem: str, image_id: int, label_of: dict[str, int]) -> Sample:
    path = _annotation(root, stem)
    tree = _parse(path)
    objects = tree.findall("object")
    names = [_text(path, entry, "name") for entry in objects]
    for name in names:
        if name not in label_of:
            raise BadInput(
                f"{path}: class {name!r} is not one of the classes ({', '.join(label_of)}); "
                "rename it or list it in labels.txt"
            )
    edges = [[_number(path, entry, edge) for edge in _EDGES] for entry in objects]
    boxes = np.array(edges, np.float64).reshape(-1, 4) - [1, 1, 0, 0]
    with np.errstate(all="ignore"):  # what is not finite is for the checks to count and drop
        boxes = boxes.astype(np.float32)
    return Sample(
        image_id=image_id,
        path=root / "JPEGImages" / (tree.findtext("filename") or f"{stem}.jpg").strip(),
        width=_whole(path, tree, "size/width"),
        height=_whole(path, tree, "size/height"),
        boxes=boxes,
        labels=np.array([label_of[name] for name in names], np.int64),
        difficult=np.array([_is_difficult(entry) for entry in objects], bool),
        crowd=np.zeros(len(objects), bool),
    )


def _classes(root: Path) -> tuple[str, ...]:
    listed = root / "labels.txt"
    if listed.exists():
        return tuple(_lines(listed))
    lists = [_list_file(root, split) for split in _CLASS_SPLITS]
    stems = [stem for path in lists if path.exists() for stem in _lines(path)]
    return tuple(sorted({name for stem in stems for name in _names(_annotation(root, stem))}))


def _names(path: Path) -> list[str]:
    return [_text(path, entry, "name") for entry in _parse(path).findall("object")]


def _annotation(root: Path, stem: str) -> Path:
    return root / "Annotations" / f"{stem}.xml"


def _list_file(root: Path, split: str) -> Path:
    return root / "ImageSets" / "Main" / f"{split}.txt"


def _lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank."""
    require_file(path, "list with one entry a line")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text; write one entry a line") from error
    return [line.strip() for line in lines if line.strip()]


def _parse(path: Path) -> ElementTree.Element:
    require_file(path, "annotation file")
    parser = ElementTree.XMLParser(target=_NoDoctype())
    try:
        return ElementTree.fromstring(path.read_bytes(), parser)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadInput(f"{path}: not a valid annotation ({error}); write the file again") from error


def _text(path: Path, element: ElementTree.Element, tag: str) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise BadInput(f"{path}: <{element.tag}> has no <{tag}>; add it")
    return text


def _number(path: Path, element: ElementTree.Element, tag: str) -> float:
    text = _text(path, element, tag)
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"{path}: <{tag}> must be a number, not {text!r:.40}") from error


def _whole(path: Path, element: ElementTree.Element, tag: str) -> int:
    number = _number(path, element, tag)
    if not number.is_integer():
        raise BadInput(f"{path}: <{tag}> must be a whole number of pixels, not {number}")
    return int(number)


def _is_difficult(element: ElementTree.Element) -> bool:
    return (element.findtext("difficult") or "0").strip() not in ("", "0")
