"""The scheme: which layers it keeps in float, and its way through a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from quant.int8.scheme import CALIBRATIONS, Scheme

FILE = Path("run/model.json")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["calibration", "photos", "keep_float", "weight_bits", "colour"])


@pytest.mark.parametrize(
    ("kept", "layer", "float_"),
    [
        ("backbone.stem", "backbone.stem", True),
        ("backbone", "backbone.stem", True),
        ("backbone.blocks.1", "backbone.blocks.1.depthwise", True),
        ("backbone.blocks.1", "backbone.blocks.12.depthwise", False),
        ("backbone.blocks.1.depthwise", "backbone.blocks.1.pointwise", False),
        ("stem", "backbone.stem", False),
        ("", "backbone.stem", False),
    ],
)
def test_a_name_keeps_its_layer_or_its_group(kept: str, layer: str, float_: bool) -> None:
    assert Scheme(keep_float=("attend", kept)).keeps_float(layer) is float_
    assert not Scheme().keeps_float(layer)


@given(
    st.builds(
        Scheme,
        calibration=st.sampled_from(CALIBRATIONS),
        bias_correction=st.booleans(),
        photos=st.integers(1, 10**6),
        keep_float=st.lists(st.text()).map(tuple),
        weight_bits=st.sampled_from([7, 8]),
    )
)
def test_a_scheme_survives_json(scheme: Scheme) -> None:
    assert Scheme.from_dict(json.loads(json.dumps(scheme.to_dict())), FILE) == scheme


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"calibration": "best"}, r"no calibration 'best'; there are minmax, mse"),
        ({"photos": 0}, r"one photo or more, not 0"),
        ({"photos": -3}, r"one photo or more, not -3"),
        ({"weight_bits": 4}, r"weights of 4 bits; there are 7 and 8"),
    ],
)
def test_a_bad_scheme_says_what_is_wrong(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Scheme(**values)
    with pytest.raises(BadInput, match=rf"^run/model\.json: .*{message}"):
        Scheme.from_dict(values, FILE)


@given(JSON | st.dictionaries(FIELDS, JSON))
def test_any_json_is_a_scheme_or_bad_input_that_names_the_file(values: Any) -> None:
    try:
        assert isinstance(Scheme.from_dict(values, FILE), Scheme)
    except BadInput as error:
        assert str(error).startswith("run/model.json: not a quantisation scheme")  # noqa: PT017


def test_a_scheme_from_before_there_was_a_choice_has_weights_of_8_bits() -> None:
    values = {k: v for k, v in Scheme().to_dict().items() if k != "weight_bits"}
    assert Scheme().weight_bits == 7
    assert Scheme.from_dict(values, FILE).weight_bits == 8
