"""The door to annotated photos: tells by the folder which reader it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet
from quant.data.coco import read_coco
from quant.data.voc import read_voc


def read_split(root: Path, split: str) -> DataSet:
    """The annotated photos of one split ("train", "val") of the data set in folder `root`.

    COCO form is `{split}.json` and `images/`; VOC form is `Annotations/`, `JPEGImages/` and
    `ImageSets/Main/{split}.txt`. The result is named after folder and split. No photo is opened
    here. Raises BadInput where neither is found or the annotations are broken.
    """
    annotations, images = root / f"{split}.json", root / "images"
    if annotations.exists() and images.is_dir():
        dataset = read_coco(annotations, images, split)
    elif (root / "Annotations").is_dir():
        dataset = read_voc(root, split)
    else:
        raise BadInput(
            f"{root}: no data set with a split {split!r}; looked for COCO form ({split}.json and "
            f"images/) and VOC form (Annotations/, JPEGImages/, ImageSets/Main/{split}.txt)"
        )
    _check_names(root, dataset.classes)
    return replace(dataset, name=f"{root.resolve().name} {split}")


def spread_photos(data: DataSet, count: int) -> list[Path]:
    """Paths of `count` photos, spread evenly over a split; of all when it has no more.

    Raises BadInput for a split without photos.
    """
    photos = [sample.path for sample in data.samples]
    if not photos:
        raise BadInput(f"{data.name}: the split has no photos; add photos and their boxes")
    count = min(count, len(photos))
    return [photos[i * len(photos) // count] for i in range(count)]


def _check_names(root: Path, classes: tuple[str, ...]) -> None:
    if not classes:
        raise BadInput(f"{root}: no classes; annotate at least one box or list the class names")
    for name in classes:
        if not name.strip() or not name.isprintable():
            raise BadInput(f"{root}: class name {name!r} is not printable text; rename the class")
        if classes.count(name) > 1:
            raise BadInput(f"{root}: class name {name!r} stands twice; class names must differ")
