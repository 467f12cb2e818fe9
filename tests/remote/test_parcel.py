"""A data set that is sent arrives as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_passd.bench.accuracy import data_sha256
from edge_passd.errors import BadInput
from edge_passd.remote.parcel import Parcel, data_parcel, file_parcel, photos_parcel
from edge_passd.samples import DataSet, Sample
from quant.data.reader import read_split

coordinates = st.floats(2**-13, 2**15, width=32)  # pixels
corners = st.one_of(coordinates, st.just(0.0), coordinates.map(lambda value: -value))
flags = st.booleans()


@st.composite
def data_sets(draw: st.DrawFn) -> DataSet:
    """Photos of one name in several folders, boxes anywhere."""
    ids = draw(st.lists(st.integers(0, 2**40), unique=True, min_size=1, max_size=4))
    samples = []
    for number in ids:
        count = draw(st.integers(0, 3))
        boxes = draw(arrays(np.float32, (count, 4), elements=corners))
        labels = draw(arrays(np.int64, count, elements=st.integers(0, 1)))
        difficult, crowd = (draw(arrays(bool, count, elements=flags)) for _ in range(2))
        path = Path(f"{number}") / "photo.png"
        samples.append(Sample(number, path, 30, 20, boxes, labels, difficult, crowd))
    return DataSet("pets ünder val", ("dog", "cät"), tuple(samples))


def unpack(parcel: Parcel, folder: Path) -> None:
    """What a board does with it."""
    content = b"".join(parcel.chunks())
    assert len(content) == parcel.size
    for path, size, _ in parcel.header()["entries"]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content[:size])
        content = content[size:]


@settings(max_examples=30)
@given(data=data_sets())
def test_a_data_set_arrives_as_it_was(data: DataSet) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, there = Path(name, "pets ünder"), Path(name, "there")
        data = DataSet(
            data.name,
            data.classes,
            tuple(Sample(**{**vars(each), "path": root / each.path}) for each in data.samples),
        )
        for sample in data.samples:
            sample.path.parent.mkdir(parents=True, exist_ok=True)
            sample.path.write_bytes(str(sample.image_id).encode())
        unpack(data_parcel(root, "val", data), there)
        found = read_split(there / "pets ünder", "val")
        assert (found.name, found.classes) == (data.name, data.classes)
        assert data_sha256(found) == data_sha256(data)
        for ours, theirs in zip(data.samples, found.samples, strict=True):
            assert theirs.path.read_bytes() == ours.path.read_bytes()
            np.testing.assert_array_equal(theirs.boxes, ours.boxes)
            np.testing.assert_array_equal(theirs.difficult, ours.difficult)
            np.testing.assert_array_equal(theirs.crowd, ours.crowd)


def test_the_digest_knows_name_and_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    first = file_parcel(one, "a file").digest
    assert first == file_parcel(one, "a file").digest != file_parcel(two, "a file").digest
    one.write_bytes(b"SAME")
    assert first != file_parcel(one, "a file").digest
    assert photos_parcel(tmp_path, [one]).digest != photos_parcel(tmp_path, [two]).digest


def test_a_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"whole")
    parcel = file_parcel(path, "a model")
    path.write_bytes(b"half")
    with pytest.raises(BadInput, match="became shorter"):
        list(parcel.chunks())


def test_a_name_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / b"caf\xe9.onnx".decode("utf-8", "surrogateescape")
    path.write_bytes(b"x")
    with pytest.raises(BadInput, match="not UTF-8"):
        file_parcel(path, "a model")
    with pytest.raises(BadInput, match="split"):
        data_parcel(tmp_path, "../val", DataSet("x", ("dog",), ()))
