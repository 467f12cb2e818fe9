"""The door to annotated photos: tells by the folder which reader it takes."""

from __future__ import annotations

from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet
from quant.data.coco import read_coco
from quant.data.voc import read_voc


def read_split(root: Path, split: str) -> DataSet:
    """The annotated photos of one split ("train", "val") of the data set in folder `root`.

    COCO form is `{split}.json` and `images/`; VOC form is `Annotations/`, `JPEGImages/` and
    `ImageSets/Main/{split}.txt`. No photo is opened here. Raises BadInput where neither is found
    or the annotations are broken.
    """
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder; give the folder of the data set")
    if (root / "images").is_dir():
        annotations = root / f"{split}.json"
        if not annotations.is_file():
            raise BadInput(f"{annotations}: missing; it must hold the annotations of {split!r}")
        return read_coco(annotations, root / "images", split)
    if (root / "Annotations").is_dir():
        return read_voc(root, split)
    raise BadInput(
        f"{root}: not a data set; looked for COCO form ({split}.json and images/) "
        f"and VOC form (Annotations/, JPEGImages/, ImageSets/Main/{split}.txt)"
    )
