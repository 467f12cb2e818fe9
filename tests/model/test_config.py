"""A model's configuration survives JSON, and refuses what it cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.boxes import COCO_SCALES
from edge_passd.errors import BadInput
from quant.model import ModelConfig
from quant.model.config import HEADS

SOURCE = Path("run/model.json")
GOOD = ModelConfig(
    ("cat", "chat à poil"), 512, COCO_SCALES, **HEADS["propose"], mean=(1, 2.5, 3), std=(4, 5, 6)
)


@pytest.mark.parametrize("config", [ModelConfig(("cat",)), GOOD])
def test_a_configuration_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())), SOURCE) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", []),
        ("classes", ["cat", "cat"]),
        ("classes", "cat"),
        ("classes", ["cat", 3]),
        ("input_size", 0),
        ("input_size", 300),
        ("input_size", -64),
        ("input_size", 320.0),
        ("input_size", "320"),
        ("scales", []),
        ("scales", [0.0]),
        ("scales", [float("nan")]),
        ("propose", "sometimes"),
        ("attend", None),
        ("dilation", 0),
        ("mean", [1.0, 2.0]),
        ("std", [1.0, 0.0, 1.0]),
        ("point_gradient", 1),
        ("colour", "red"),
    ],
)
def test_a_bad_field_is_named_with_its_file(field: str, value: Any) -> None:
    values = {**GOOD.to_dict(), field: value}
    with pytest.raises(BadInput, match=r"^run/model\.json: ") as caught:
        ModelConfig.from_dict(values, SOURCE)
    assert field.replace("_", " ") in str(caught.value).replace("_", " ")
    assert "\n" not in str(caught.value)


def test_an_adaptive_head_needs_proposals() -> None:
    with pytest.raises(ValueError, match="needs proposed boxes"):
        ModelConfig(("cat",), propose="none")


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=2)
    ),
    max_leaves=5,
)


@given(field=st.sampled_from(sorted(GOOD.to_dict())), value=junk)
@settings(max_examples=200, deadline=None)
def test_junk_is_refused_or_is_a_configuration(field: str, value: Any) -> None:
    config, refusal = parsed({**GOOD.to_dict(), field: value})
    if config is None:
        assert refusal.startswith("run/model.json: ")
    else:
        assert json.loads(json.dumps(config.to_dict()))[field] == value


def parsed(values: dict[str, Any]) -> tuple[ModelConfig | None, str]:
    """The configuration or the message that refuses it."""
    try:
        return ModelConfig.from_dict(values, SOURCE), ""
    except BadInput as error:
        return None, str(error)
