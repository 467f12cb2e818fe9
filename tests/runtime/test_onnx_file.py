"""Weights and metadata of .onnx files, read without the onnx library: beside that library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd import onnx_file
from edge_passd.detector import default_model
from edge_passd.errors import BadInput
from edge_passd.model_info import METADATA_KEY

SHAPE = (2, 3, 1, 1)
INTEGERS = np.array([-128, -127, -1, 0, 1, 127], np.int8).reshape(SHAPE)


def model(*tensors: onnx.TensorProto, metadata: str | None = "{}") -> bytes:
    graph = onnx.helper.make_graph([], "graph", [], [], list(tensors))
    made = onnx.helper.make_model(graph)
    if metadata is not None:
        onnx.helper.set_model_props(made, {"another": "x", METADATA_KEY: metadata})
    return made.SerializeToString()


def read(content: bytes, tmp_path: Path) -> onnx_file.OnnxFile:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    return onnx_file.read(path)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "one_by_one"])
def test_int8_weights_of_four_dimensions_are_found(raw: bool, tmp_path: Path) -> None:
    if raw:
        tensor = onnx.numpy_helper.from_array(INTEGERS, "w")
    else:
        tensor = onnx.helper.make_tensor("w", onnx.TensorProto.INT8, SHAPE, INTEGERS.ravel())
    others = [
        onnx.numpy_helper.from_array(INTEGERS.astype(np.uint8), "unsigned"),
        onnx.numpy_helper.from_array(INTEGERS.ravel(), "a_zero_point"),
        onnx.numpy_helper.from_array(INTEGERS.astype(np.float32), "float"),
    ]
    found = read(model(tensor, *others), tmp_path)
    assert found.weights.keys() == {"w"}
    np.testing.assert_array_equal(found.weights["w"], INTEGERS)
    assert found.metadata == "{}"


def test_the_shipped_model_is_read_as_onnx_reads_it() -> None:
    found, proto = onnx_file.read(default_model()), onnx.load(default_model())
    wanted = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in proto.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    }
    assert len(wanted) > 30
    assert found.weights.keys() == wanted.keys()
    assert all(np.array_equal(found.weights[name], wanted[name]) for name in wanted)
    assert found.metadata == {p.key: p.value for p in proto.metadata_props}[METADATA_KEY]


def test_a_model_without_our_metadata_has_none(tmp_path: Path) -> None:
    assert read(model(metadata=None), tmp_path).metadata is None


def test_a_tensor_of_another_size_than_it_says_is_refused(tmp_path: Path) -> None:
    tensor = onnx.numpy_helper.from_array(INTEGERS, "w")
    tensor.dims[0] = 3
    with pytest.raises(BadInput, match=r"model.onnx: no ONNX model \(tensor 'w' has 6 elements"):
        read(model(tensor), tmp_path)


WHOLE = model(onnx.numpy_helper.from_array(INTEGERS, "w"))


@settings(max_examples=300)
@given(at=st.integers(0, len(WHOLE) - 1), instead=st.binary(max_size=12), cut=st.booleans())
def test_damage_is_one_line_or_nothing(
    at: int, instead: bytes, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = WHOLE[:at] + instead + (b"" if cut else WHOLE[at + len(instead) :])
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content or b"\xff")
    try:
        found = onnx_file.read(path)
    except BadInput as error:
        assert str(error).startswith(f"{path}: no ONNX model (")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(weights.shape for weights in found.weights.values())
