"""Readers of annotated photos, through `read_split`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from edge_passd.samples import DataSet, Sample
from quant.data.reader import read_split, spread_photos

Document = dict[str, Any]

once_per_folder = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def rejected(root: Path, split: str = "train") -> str:
    """The message with which the split is refused: always one line."""
    with pytest.raises(BadInput) as caught:
        read_split(root, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_coco_form(coco_folder: Path) -> None:
    data = read_split(coco_folder, "train")
    assert data.name == f"{coco_folder.name} train"
    assert data.classes == ("person", "cat")  # in the order of the ids 2, 5
    cat, person, coffee = data.samples
    assert (cat.image_id, cat.path, cat.width, cat.height) == (
        7,
        coco_folder / "images" / "chelsea.jpg",
        451,
        300,
    )
    np.testing.assert_array_equal(cat.boxes, [[50, 40, 350, 240]])
    assert (cat.labels.tolist(), cat.difficult.tolist(), cat.crowd.tolist()) == (
        [1],
        [True],
        [False],
    )
    np.testing.assert_array_equal(person.boxes, [[100, 20, 350.5, 420], [0, 0, 30, 40]])
    assert person.crowd.tolist() == [False, True]
    assert coffee.boxes.shape == (0, 4)
    for sample in data.samples:
        assert (sample.boxes.dtype, sample.labels.dtype) == (np.float32, np.int64)
        assert len(sample.ignored) == len(sample.labels) == len(sample.boxes)


def test_voc_boxes_count_from_one_and_include_their_last_pixel(voc_folder: Path) -> None:
    cat, person = read_split(voc_folder, "train").samples
    np.testing.assert_array_equal(cat.boxes, [[50, 40, 350, 240]])
    np.testing.assert_array_equal(person.boxes, [[100, 20, 350.5, 420]])
    assert (cat.difficult.tolist(), person.difficult.tolist()) == ([True], [False])
    assert cat.path == voc_folder / "JPEGImages" / "chelsea.jpg"
    assert (cat.width, cat.height) == (451, 300)
    assert len({cat.image_id, person.image_id}) == 2


def test_voc_classes_are_those_of_train_and_val_together(voc_folder: Path) -> None:
    for split in ("train", "val"):
        assert read_split(voc_folder, split).classes == ("cat", "person")


def test_voc_classes_in_the_order_of_labels_txt(voc_folder: Path) -> None:
    (voc_folder / "labels.txt").write_text("person\n\ncat\nunicorn\n")
    data = read_split(voc_folder, "train")
    assert data.classes == ("person", "cat", "unicorn")
    assert [sample.labels.tolist() for sample in data.samples] == [[1], [0]]


def test_neither_form_names_what_was_looked_for(tmp_path: Path) -> None:
    for wanted in (str(tmp_path), "val.json", "images/", "Annotations/", "ImageSets/Main/val.txt"):
        assert wanted in rejected(tmp_path, "val")


def drop(*keys: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


def put(value: Any, *keys: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("images"), ["images"]),
        (put({}, "annotations"), ["annotations"]),
        (put([1], "annotations"), ["annotations[0]"]),
        (drop("images", 1, "file_name"), ["images[1]", "id 3", "file_name"]),
        (drop("images", 0, "width"), ["images[0]", "id 7", "width"]),
        (put("512", "images", 0, "width"), ["images[0]", "width", "'512'"]),
        (drop("annotations", 2, "bbox"), ["annotations[2]", "id 3", "bbox"]),
        (drop("annotations", 0, "id"), ["annotations[0]", "'id'"]),
        (put([1, 2, 3], "annotations", 1, "bbox"), ["annotation 2", "bbox", "[1, 2, 3]"]),
        (put([1, 2, 3, "4"], "annotations", 1, "bbox"), ["annotation 2", "bbox"]),
        (put([1, 2, 3, None], "annotations", 1, "bbox"), ["annotation 2", "bbox"]),
        (put([1, 2, 3, 10**400], "annotations", 1, "bbox"), ["annotation 2", "bbox"]),
        (put(77, "annotations", 1, "image_id"), ["annotation 2", "image 77"]),
        (put(True, "annotations", 1, "image_id"), ["annotations[1]", "image_id"]),
        (put(4, "annotations", 1, "category_id"), ["annotation 2", "category 4", "[2, 5]"]),
        (put(3, "images", 0, "id"), ["image id 3", "twice"]),
        (put(2, "categories", 0, "id"), ["category id 2", "twice"]),
        (put("person", "categories", 0, "name"), ["'person'", "twice"]),
        (put("a\nb", "categories", 0, "name"), ["'a\\nb'"]),
        (put([], "categories"), ["annotation 1", "category 2"]),
    ],
)
def test_broken_coco_documents(
    coco_folder: Path, coco_document: Document, change: Callable[[Any], None], said: list[str]
) -> None:
    change(coco_document)
    (coco_folder / "train.json").write_text(json.dumps(coco_document))
    message = rejected(coco_folder)
    for words in [str(coco_folder), *said]:
        assert words in message


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"images": [}', b"\xff\xfe\x00", b"[" * 200_000, b"1" * 5000],
    ids=["empty", "cut", "list", "broken", "binary", "deep", "endless number"],
)
def test_coco_file_that_is_no_json_object(coco_folder: Path, content: bytes) -> None:
    (coco_folder / "train.json").write_bytes(content)
    assert "train.json" in rejected(coco_folder)


def test_boxes_that_are_not_finite_are_left_to_the_checks(
    coco_folder: Path, coco_document: Document
) -> None:
    coco_document["annotations"][1]["bbox"] = [float("nan"), 0, float("inf"), 1e300]
    (coco_folder / "train.json").write_text(json.dumps(coco_document))
    assert not np.isfinite(read_split(coco_folder, "train").samples[0].boxes).all()


BOMB = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    + "]><annotation><filename>&a11;</filename></annotation>"
)
OBJECT = (
    "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{}</xmax>"
    "<ymax>9</ymax></bndbox></object>"
)
SIZE = "<size><width>{}</width><height>300</height></size>"


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (BOMB, "DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotation/>', "DOCTYPE"),
        ("<annotation>", "not a valid annotation"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "not a valid annotation"),
        ("<annotation/>", "size/width"),
        (f"<annotation>{SIZE.format('wide')}</annotation>", "'wide'"),
        (f"<annotation>{SIZE.format('nan')}</annotation>", "whole number"),
        (f"<annotation>{SIZE.format('1e999')}</annotation>", "whole number"),
        (f"<annotation>{SIZE.format(9)}{OBJECT.format('')}</annotation>", "bndbox/xmax"),
        (f"<annotation>{SIZE.format(9)}{OBJECT.format('x')}</annotation>", "'x'"),
        (f"<annotation>{SIZE.format(9)}<object/></annotation>", "<name>"),
    ],
)
def test_broken_voc_annotations(voc_folder: Path, xml: str, said: str) -> None:
    (voc_folder / "Annotations" / "chelsea.xml").write_text(xml)
    message = rejected(voc_folder)
    assert "chelsea.xml" in message
    assert said in message


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("ImageSets/Main/train.txt", b"chelsea\nghost\n", "ghost.xml"),
        ("ImageSets/Main/train.txt", None, "train.txt"),
        ("ImageSets/Main/train.txt", b"\xff\xff", "UTF-8"),
        ("labels.txt", b"person\n", "'cat'"),
        ("labels.txt", b"cat\nperson\ncat\n", "twice"),
        ("labels.txt", b"", "empty"),
        ("labels.txt", b" \n", "list it in labels.txt"),
    ],
)
def test_broken_voc_folders(voc_folder: Path, file: str, content: bytes | None, said: str) -> None:
    path = voc_folder / file
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    assert said in rejected(voc_folder)


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Cuts a file short, or overwrites a few of its bytes."""
    cut = draw(st.floats(0, 1))
    writes = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4))

    def apply(data: bytes) -> bytes:
        if not writes:
            return data[: int(cut * len(data))]
        changed = bytearray(data)
        for where, value in writes:
            changed[int(where * (len(data) - 1))] = value
        return bytes(changed)

    return apply


def is_read_or_refused(root: Path) -> None:
    try:
        outcome = str(read_split(root, "train").classes)
    except BadInput as error:
        outcome = str(error)
    assert outcome
    assert "\n" not in outcome


@once_per_folder
@given(damage())
def test_damaged_coco_files_are_read_or_refused(
    coco_folder: Path, coco_document: Document, harm: Callable[[bytes], bytes]
) -> None:
    (coco_folder / "train.json").write_bytes(harm(json.dumps(coco_document).encode()))
    is_read_or_refused(coco_folder)


@once_per_folder
@given(damage())
def test_damaged_voc_files_are_read_or_refused(
    voc_folder: Path, harm: Callable[[bytes], bytes]
) -> None:
    path = voc_folder / "Annotations" / "chelsea.xml"
    intact = path.read_bytes()
    path.write_bytes(harm(intact))
    is_read_or_refused(voc_folder)
    path.write_bytes(intact)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@once_per_folder
@given(json_values, st.data())
def test_any_value_in_any_place_is_read_or_refused(
    coco_folder: Path, coco_document: Document, value: object, data: st.DataObject
) -> None:
    document = json.loads(json.dumps(coco_document))
    key = data.draw(st.sampled_from(["images", "annotations", "categories"]))
    entry = data.draw(st.sampled_from(document[key]))
    entry[data.draw(st.sampled_from(sorted(entry)))] = value
    (coco_folder / "train.json").write_text(json.dumps(document))
    is_read_or_refused(coco_folder)


@pytest.mark.parametrize("there", [1, 2, 7, 10, 150])
@pytest.mark.parametrize("asked", [1, 3, 7, 100])
def test_photos_are_spread_evenly(there: int, asked: int) -> None:
    nothing = np.zeros(0)
    samples = [
        Sample(i, Path(f"{i}.jpg"), 9, 9, nothing, nothing, nothing, nothing) for i in range(there)
    ]
    chosen = spread_photos(DataSet("set val", ("cat",), tuple(samples)), asked)
    places = [int(path.stem) for path in chosen]
    assert len(places) == min(there, asked)
    assert places[0] == 0
    gaps = np.diff([*places, there])  # up to the end, too
    assert 0 < gaps.min() <= gaps.max() <= gaps.min() + 1


def test_nothing_can_be_spread_over_no_photos() -> None:
    with pytest.raises(BadInput, match="set val: the split has no photos"):
        spread_photos(DataSet("set val", ("cat",), ()), 5)


def test_reading_and_checking_need_no_torch() -> None:
    modules = "quant.data.reader, quant.data.checks, quant.data.augment"
    script = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
