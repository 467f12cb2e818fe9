from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from fake_bundles import MANIFEST
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bundle import FileRecord, Manifest
from edge_passd.errors import BadInput

FILES = {"model.so": FileRecord("0" * 64, 200), "constants.bin": FileRecord("f" * 64, 64)}
FULL = replace(MANIFEST, files=FILES)
GOOD: dict[str, Any] = json.loads(FULL.to_json())


def with_value(path: str, value: Any) -> dict[str, Any]:
    """`GOOD` with another value at a path such as "plan.boxes"."""
    values = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    at: Any = values
    for key in parents:
        at = at[int(key) if isinstance(at, list) else key]
    at[int(last) if isinstance(at, list) else last] = value
    return values


def complaint(values: dict[str, Any]) -> str:
    with pytest.raises(BadInput, match=r"^m\.passd: ") as error:
        Manifest.from_json(json.dumps(values), "m.passd")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_text_and_the_manifest_are_the_same() -> None:
    assert Manifest.from_json(FULL.to_json(), "m.passd") == FULL
    assert Manifest.from_json(FULL.to_json().encode(), "m.passd") == FULL
    assert GOOD["target"]["features"] == ["asimd", "asimddp"]
    assert GOOD["files"]["constants.bin"] == {"sha256": "f" * 64, "bytes": 64}
    assert GOOD["model"] == json.loads(MANIFEST.model.to_json())


def test_what_a_later_compiler_adds_is_left_out() -> None:
    values = with_value("target/cores", 4)
    values["colour"] = "red"
    assert Manifest.from_json(json.dumps(values), "m.passd") == FULL


BAD = [
    ("model", [], "'model' must be an object"),
    ("model/input_size", 0, "'input_size' must be"),
    ("model/schema", 9, "metadata schema 9"),
    ("target", None, "'target' must be an object"),
    ("target/kind", "mips", "'target.kind' must be one of arm, x86, cuda"),
    ("target/machine", "arm64", "'target.machine' must be one of aarch64, x86_64"),
    ("target/board", "", "'target.board' must be a word"),
    ("target/board", "\x1b[2J", "'target.board' must be a word"),
    ("target/features", "avx2", "'target.features' must be a list"),
    ("target/features", ["avx2", 2], "'target.features' must be a list"),
    ("precision", 8, "'precision' must be"),
    ("int8_share", 1.5, "'int8_share' must be"),
    ("int8_share", float("nan"), "'int8_share' must be"),
    ("int8_share", True, "'int8_share' must be"),
    ("plan/library", "../model.so", "'plan.library' must be a word"),
    ("plan/library", "other.so", "the plan names other.so"),
    ("plan/runtime", ["libtvm_ffi.so"], "the plan names libtvm_ffi.so"),
    ("plan/workspace_bytes", 0, "'plan.workspace_bytes' must be a positive whole number"),
    ("plan/boxes", 3.0, "'plan.boxes' must be a positive whole number"),
    ("plan/classes", 3, "'plan.classes' must be 3 and the background, not 3"),
    ("parity", [1], "'parity' must be a list of objects"),
    ("operators", {}, "'operators' must be a list of objects"),
    ("operators/1/macs", -1, "'operators[1].macs' must be"),
    ("operators/0/name", None, "'operators[0].name' must be"),
    ("compiler", {"tvm": 27}, "'compiler' must be an object of versions"),
    ("files", [], "'files' must be an object of objects"),
    ("files/model.so", 3, "'files' must be an object of objects"),
    ("files/model.so/bytes", -1, "'files.model.so.bytes' must be"),
    ("files/model.so/sha256", "0" * 63, "'files.model.so.sha256' must be 64 hexadecimal digits"),
    ("files/model.so/sha256", "0" * 64 + "\n", "'files.model.so.sha256' must be"),
]


@pytest.mark.parametrize(("path", "value", "wanted"), BAD, ids=[f"{p}={v!r}" for p, v, _ in BAD])
def test_a_broken_field_is_named(path: str, value: Any, wanted: str) -> None:
    assert wanted in complaint(with_value(path, value))


@pytest.mark.parametrize(
    "path",
    [
        *GOOD,
        *(f"{part}/{name}" for part in ("target", "plan") for name in GOOD[part]),
        *(f"files/model.so/{name}" for name in ("sha256", "bytes")),
    ],
)
def test_a_missing_field_is_named(path: str) -> None:
    values = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    at = values
    for key in parents:
        at = at[key]
    del at[last]
    assert last in complaint(values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
PLACES = sorted({path for path, _, _ in BAD})


@given(st.sampled_from(PLACES), JSON)
def test_any_value_is_either_read_as_it_is_or_bad_input(path: str, value: Any) -> None:
    values = with_value(path, value)
    try:
        manifest = Manifest.from_json(json.dumps(values), "m.passd")
    except BadInput:
        return
    text = manifest.to_json()  # compared as text: a NaN is no other NaN
    assert Manifest.from_json(text, "m.passd").to_json() == text
    part, _, rest = path.partition("/")
    if not rest and part != "model":
        assert json.dumps(json.loads(text)[part]) == json.dumps(value)
