"""Annotations in the form of the PASCAL VOC challenge: one XML file per photo."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet, Sample

_CLASS_SPLITS = ("train", "val")
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root: Path, split: str) -> DataSet:
    """The photos listed in ImageSets/Main/{split}.txt.

    Classes are the lines of `labels.txt` in the root where it stands, else the sorted names found
    in the annotations of train and val together. VOC's boxes count pixels from 1 and include the
    last one; here they are corners (xmin - 1, ymin - 1, xmax, ymax).
    Raises BadInput that names the file.
    """
    classes = _classes(root)
    samples = []
    for image_id, stem in enumerate(_stems(root, split), 1):
        samples.append(_sample(root, stem, image_id, classes))
    return DataSet(split, tuple(classes), tuple(samples))


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses DOCTYPE, and with it entities: a small file must not unfold into gigabytes."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise BadInput("it has a DOCTYPE, which annotations do not need; remove it")


def _sample(root: Path, stem: str, image_id: int, classes: dict[str, int]) -> Sample:
    path = _annotation(root, stem)
    tree = _parse(path)
    objects = tree.findall("object")
    names = [_text(path, entry, "name") for entry in objects]
    for name in names:
        if name not in classes:
            raise BadInput(f"{path}: class {name!r} is not one of {', '.join(classes)}")
    edges = [[_number(path, entry, f"bndbox/{edge}") for edge in _EDGES] for entry in objects]
    boxes = np.array(edges, np.float64).reshape(-1, 4) - [1, 1, 0, 0]
    return Sample(
        image_id=image_id,
        path=root / "JPEGImages" / (tree.findtext("filename") or f"{stem}.jpg").strip(),
        width=int(_number(path, tree, "size/width")),
        height=int(_number(path, tree, "size/height")),
        boxes=boxes.astype(np.float32),
        labels=np.array([classes[name] for name in names], np.int64),
        difficult=np.array([_flag(entry, "difficult") for entry in objects], bool),
        crowd=np.zeros(len(objects), bool),
    )


def _classes(root: Path) -> dict[str, int]:
    """Class names to their labels, in order."""
    listed = root / "labels.txt"
    if listed.exists():
        names = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines()]
        names = [name for name in names if name]
        if len(set(names)) < len(names):
            raise BadInput(f"{listed}: a class name stands twice; each line must be different")
    else:
        names = sorted({name for stem in _class_stems(root) for name in _names(root, stem)})
    return {name: label for label, name in enumerate(names)}


def _class_stems(root: Path) -> list[str]:
    splits = [split for split in _CLASS_SPLITS if _list_file(root, split).exists()]
    return [stem for split in splits for stem in _stems(root, split)]


def _names(root: Path, stem: str) -> list[str]:
    path = _annotation(root, stem)
    return [_text(path, entry, "name") for entry in _parse(path).findall("object")]


def _annotation(root: Path, stem: str) -> Path:
    return root / "Annotations" / f"{stem}.xml"


def _list_file(root: Path, split: str) -> Path:
    return root / "ImageSets" / "Main" / f"{split}.txt"


def _stems(root: Path, split: str) -> list[str]:
    path = _list_file(root, split)
    if not path.exists():
        raise BadInput(f"{path}: missing; it must list the photos of split {split!r}, one a line")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line]


def _parse(path: Path) -> ElementTree.Element:
    if not path.exists():
        raise BadInput(f"{path}: missing, but its photo is listed under ImageSets/Main")
    try:
        return ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))
    except ElementTree.ParseError as error:
        raise BadInput(f"{path}: not valid XML ({error}); write the file again") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


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


def _flag(element: ElementTree.Element, tag: str) -> bool:
    return (element.findtext(tag) or "0").strip() not in ("", "0")
