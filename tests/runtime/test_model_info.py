from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo

GOOD = {
    "schema": 1,
    "name": "animals",
    "classes": ["dog", "cat"],
    "input_size": 320,
    "resize": "stretch",
    "score_threshold": 0.01,
    "max_detections": 200,
    "nms_iou": 0.45,
    "precision": "fp32",
    "training": {"epochs": 60},
}


def test_the_contract_is_read_as_written() -> None:
    info = ModelInfo.from_json(json.dumps(GOOD), "m.onnx")
    assert info == ModelInfo(
        "animals", ("dog", "cat"), 320, "stretch", 0.01, 200, 0.45, "fp32", {"epochs": 60}
    )
    assert json.loads(info.to_json()) == GOOD


def test_names_in_any_script_survive_the_round_trip() -> None:
    info = ModelInfo(name="tiere", classes=("Bär", "猫"), input_size=64, resize="letterbox")
    assert ModelInfo.from_json(info.to_json(), "m.onnx") == info


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": 2}, "metadata schema 2"),
        ({"schema": None}, "metadata schema null"),
        ({"name": ""}, "'name' must be a name"),
        ({"classes": []}, "'classes' must be"),
        ({"classes": ["dog", "dog"]}, "'classes' must be"),
        ({"classes": "dog"}, "'classes' must be"),
        ({"classes": [1]}, "'classes' must be"),
        ({"input_size": 0}, "'input_size' must be"),
        ({"input_size": True}, "'input_size' must be"),
        ({"input_size": 320.5}, "'input_size' must be"),
        ({"resize": "crop"}, "'resize' must be one of stretch, letterbox"),
        ({"score_threshold": 1.5}, "'score_threshold' must be"),
        ({"score_threshold": float("nan")}, "'score_threshold' must be"),
        ({"max_detections": "200"}, "'max_detections' must be"),
        ({"nms_iou": -0.1}, "'nms_iou' must be"),
        ({"precision": 32}, "'precision' must be"),
        ({"training": []}, "'training' must be"),
    ],
)
def test_a_broken_field_is_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=r"m\.onnx") as error:
        ModelInfo.from_json(json.dumps({**GOOD, **change}), "m.onnx")
    assert complaint in str(error.value)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_field_is_named(name: str) -> None:
    values = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(BadInput, match=name):
        ModelInfo.from_json(json.dumps(values), "m.onnx")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"edge"'])
def test_text_that_is_no_object_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match=r"m\.onnx"):
        ModelInfo.from_json(text, "m.onnx")


def test_a_model_without_metadata_is_told_how_to_get_one() -> None:
    with pytest.raises(BadInput, match=r"not an edge-passd model: .*edge-passd export"):
        ModelInfo.from_json(None, "m.onnx")


@given(st.sampled_from(sorted(GOOD)), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
))  # fmt: skip
def test_any_value_is_either_read_as_it_is_or_bad_input(name: str, value: Any) -> None:
    try:
        info = ModelInfo.from_json(json.dumps({**GOOD, name: value}), "m.onnx")
    except BadInput:
        return
    assert json.loads(info.to_json())[name] == value
