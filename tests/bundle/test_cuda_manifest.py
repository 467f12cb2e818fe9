"""The manifest of a CUDA bundle: what it must say, and what is refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bundle import FileRecord, Manifest
from edge_passd.errors import BadInput
from tests.engines.toy_bundle import MANIFEST, PLAN, files

FULL = replace(
    MANIFEST, files={name: FileRecord("0" * 64, len(data)) for name, data in files().items()}
)
GOOD: dict[str, Any] = json.loads(FULL.to_json())


def with_value(path: str, value: Any) -> dict[str, Any]:
    """`GOOD` with another value at a path such as "plan/launches/0/grid"."""
    values = copy.deepcopy(GOOD)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    at: Any = values
    for key in parents:
        at = at[key]
    at[last] = value
    return values


def complaint(values: dict[str, Any]) -> str:
    with pytest.raises(BadInput, match=r"^m\.passd: ") as error:
        Manifest.from_json(json.dumps(values), "m.passd")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_text_and_the_manifest_are_the_same() -> None:
    again = Manifest.from_json(FULL.to_json(), "m.passd")
    assert again == FULL
    assert again.to_json() == FULL.to_json()
    assert GOOD["schema"] == 1
    assert GOOD["plan"]["images"][0] == {
        "file": "kernels.sm_87.cubin", "architecture": "sm_87", "toolkit": "11.8",
        "ptx_version": None,
    }  # fmt: skip
    assert GOOD["plan"]["launches"][0] == {
        "kernel": "means",
        "grid": [3, 1, 1],
        "block": [128, 1, 1],
        "shared_bytes": 60000,
    }


IMAGE, LAUNCH = GOOD["plan"]["images"][0], GOOD["plan"]["launches"][0]
BAD = [
    ("target/kind", "arm", "'target.machine' must be any for cuda, and for it alone"),
    ("target/machine", "aarch64", "'target.machine' must be any for cuda, and for it alone"),
    ("target/cpu", "sm_87", "'target.cpu' must be sm_87+compute_72, as the images, not sm_87"),
    ("plan/images", [], "'plan.images' must be a list of one object or more"),
    ("plan/images", [IMAGE, 3], "'plan.images' must be a list of one object or more"),
    ("plan/images", [IMAGE, IMAGE], "'plan.images' has an architecture twice"),
    ("plan/images/0/file", "a/b", "'plan.images[0].file' must be a word"),
    ("plan/images/0/file", "other.cubin", "the plan names other.cubin, which is not among"),
    ("plan/images/0/architecture", "sm_90a", "'plan.images[0].architecture' must be such as sm_87"),
    ("plan/images/0/architecture", "sm_8", "'plan.images[0].architecture' must be such as sm_87"),
    ("plan/images/0/architecture", "avx2", "'plan.images[0].architecture' must be such as sm_87"),
    ("plan/images/0/toolkit", "new", "'plan.images[0].toolkit' must be a CUDA release"),
    ("plan/images/0/ptx_version", "7.4", "'plan.images[0].ptx_version' must be null for sm_87"),
    ("plan/images/1/ptx_version", None, "ptx_version' must be a version for compute_72"),
    ("plan/images/1/ptx_version", "7.40", "ptx_version' must be null or a PTX version this"),
    ("plan/images/1/ptx_version", ["7.4"], "ptx_version' must be null or a PTX version this"),
    ("plan/constants", "", "'plan.constants' must be a word"),
    ("plan/launches", [], "'plan.launches' must be a list of one object or more"),
    ("plan/launches", [LAUNCH] * 3, "'plan.launches' must be one for each of 2 operators, not 3"),
    ("operators", GOOD["operators"][:1], "'plan.launches' must be one for each of 1 operators"),
    ("plan/launches/1/kernel", "a.b", "'plan.launches[1].kernel' must be the name of a C function"),
    ("plan/launches/1/kernel", "9a", "'plan.launches[1].kernel' must be the name of a C function"),
    ("plan/launches/0/grid", [3, 1], "'plan.launches[0].grid' must be three positive whole"),
    ("plan/launches/0/grid", [3, 0, 1], "'plan.launches[0].grid' must be three positive whole"),
    ("plan/launches/0/grid", [1, 65536, 1], "'plan.launches[0].grid' must be three positive"),
    ("plan/launches/0/grid", [2**31, 1, 1], "'plan.launches[0].grid' must be three positive"),
    ("plan/launches/0/grid", [1.0, 1, 1], "'plan.launches[0].grid' must be three positive whole"),
    ("plan/launches/0/grid", [True, 1, 1], "'plan.launches[0].grid' must be three positive whole"),
    ("plan/launches/0/grid", [3, 1, 65536], "'plan.launches[0].grid' must be three positive"),
    ("plan/launches/1/grid", [1, 1, 2], "'plan.launches' must all have as many blocks along z"),
    ("plan/launches/0/block", [32, 33, 1], "threads, at most 1024 in all, not [32, 33, 1]"),
    ("plan/launches/0/block", [1, 1, 65], "'plan.launches[0].block' must be three positive"),
    ("plan/launches/0/block", 256, "'plan.launches[0].block' must be three positive whole"),
    ("plan/launches/0/shared_bytes", -1, "'plan.launches[0].shared_bytes' must be a whole number"),
    ("plan/workspace_bytes", 0, "'plan.workspace_bytes' must be a positive whole number"),
    ("plan/boxes", None, "'plan.boxes' must be a positive whole number"),
    ("plan/classes", 3, "'plan.classes' must be 3 and the background, not 3"),
]


@pytest.mark.parametrize(("path", "value", "wanted"), BAD, ids=[f"{p}={v!r}" for p, v, _ in BAD])
def test_a_broken_field_is_named(path: str, value: Any, wanted: str) -> None:
    assert wanted in complaint(with_value(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("plan/launches/0/block", [1024, 1, 1]),
        ("plan/launches/0/block", [4, 4, 64]),
        ("plan/launches/0/grid", [2**31 - 1, 65535, 1]),
        ("plan/launches/0/kernel", "_Z5means"),
    ],
)
def test_the_largest_launches_are_good(path: str, value: Any) -> None:
    read = Manifest.from_json(json.dumps(with_value(path, value)), "m.passd")
    assert json.loads(read.to_json()) == with_value(path, value)


@pytest.mark.parametrize(
    "path",
    [
        *(f"plan/{name}" for name in GOOD["plan"]),
        *(f"plan/images/1/{name}" for name in IMAGE),
        *(f"plan/launches/1/{name}" for name in LAUNCH),
    ],
)
def test_a_missing_field_is_named(path: str) -> None:
    values = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    at = values
    for key in parents:
        at = at[int(key) if key.isdigit() else key]
    del at[last]
    assert f"{last}' is missing" in complaint(values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted({path for path, _, _ in BAD})), JSON)
def test_any_value_is_either_read_as_it_is_or_bad_input(path: str, value: Any) -> None:
    try:
        manifest = Manifest.from_json(json.dumps(with_value(path, value)), "m.passd")
    except BadInput:
        return
    assert Manifest.from_json(manifest.to_json(), "m.passd").to_json() == manifest.to_json()


def test_the_files_that_it_needs_are_known() -> None:
    assert set(PLAN.named_files) == set(files())
