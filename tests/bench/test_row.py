"""Rows as files: what is written is read back, and what is broken is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bench.row import (
    FAILED,
    SCHEMA,
    UNSUPPORTED,
    failed_row,
    parse_row,
    read_row,
    row_text,
    write_row,
)
from edge_passd.errors import BadInput

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadInput) as caught:
        parse_row(text, "row.json")
    message = str(caught.value)
    assert "row.json" in message
    assert "\n" not in message
    return message


def test_a_row_comes_back_as_it_was_and_takes_a_line_for_each_key(
    row: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "again.json"
    write_row(path, row)
    assert read_row(path) == row
    assert len(path.read_text().splitlines()) == len(row) + 2
    assert [each.name for each in path.parent.iterdir()] == ["again.json"]


def test_keys_of_later_versions_stay(row: dict[str, Any]) -> None:
    assert parse_row(row_text({**row, "fan_rpm": 900}), "row.json")["fan_rpm"] == 900


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "broken row"),
        (b"[]", "not a JSON object"),
        (b"{}", "no row of `edge-passd bench`"),
        (b'{"schema": 1, "AP": 0.5}', "no row of `edge-passd bench`"),  # what `eval --json` writes
        (b'{"schema": "1", "status": "ok"}', "no row of"),
        (b'{"schema": 2, "status": "ok"}', "schema 2, this edge-passd reads 1; install a newer"),
        (b'{"schema": 0, "status": "ok"}', "schema 0, this edge-passd reads 1; measure again"),
        (b'{"schema": 1, "status": "good"}', "'status' must be ok, unsupported or failed"),
        (b"[" * 100_000, "broken row"),
    ],
)
def test_what_is_no_row(content: bytes, words: str) -> None:
    assert words in refusal(content)


def test_files_that_are_not_there_or_empty(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_row(tmp_path / "row.json")
    (tmp_path / "row.json").touch()
    with pytest.raises(BadInput, match="is empty"):
        read_row(tmp_path / "row.json")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("model_sha256", "abc", "64 hexadecimal digits, or null"),
        ("threads", 0, "a positive whole number, or null"),
        ("threads", True, "a positive whole number, or null"),
        ("drift", float("nan"), "a number"),
        ("fps", -1, "a number from 0 up"),
        ("fps", 10**400, "a number from 0 up"),
        ("int8_share", 1.5, "0 to 1, or null"),
        ("latency_ms", None, "'latency_ms' must be an object"),
        ("latency_ms.p50", "8", "'latency_ms.p50' must be a number"),
        ("stages_ms.infer", [], "'stages_ms.infer'"),
        ("samples_us.post", [], "one whole number or more"),
        ("samples_us.post", [1], "of one length"),
        ("accuracy.AP", 51.4, "0 to 1, or -1"),
        ("accuracy.AP_replicates", [0.5], "a list of 300 numbers"),
        ("accuracy.AP_replicates", [None] * 300, "a list of 300 numbers"),
        ("accuracy.AP_interval", [0.5], "a list of two numbers"),
        ("warm_up.stable", 1, "true or false"),
        ("thermal.throttled", False, "yes, no or unknown"),
        ("photos.count", 0, "a positive whole number"),
    ],
)
def test_the_first_wrong_field_is_named(
    row: dict[str, Any], path: str, value: Any, words: str
) -> None:
    *outer, key = path.split(".")
    spoilt = json.loads(json.dumps(row))
    place = spoilt[outer[0]] if outer else spoilt
    place[key] = value
    assert words in refusal(json.dumps(spoilt))
    del place[key]
    assert f"'{path}' is missing" in refusal(json.dumps(spoilt))


@given(data=st.data())
def test_whatever_stands_there_is_read_or_refused(row_file: Path, data: st.DataObject) -> None:
    row = json.loads(row_file.read_text())
    key = data.draw(st.sampled_from(sorted(row)))
    if isinstance(row[key], dict) and row[key] and data.draw(st.booleans()):
        row[key][data.draw(st.sampled_from(sorted(row[key])))] = data.draw(ANYTHING)
    else:
        row[key] = data.draw(ANYTHING)
    text = json.dumps(row)
    try:
        parse_row(text, "row.json")
    except BadInput:
        refusal(text)


@given(share=st.floats(0, 0.999))
def test_a_row_cut_short_is_refused(row_file: Path, share: float) -> None:
    content = row_file.read_bytes().rstrip()
    assert "broken row" in refusal(content[: int(share * len(content))])


@pytest.mark.parametrize("status", [UNSUPPORTED, FAILED])
def test_rows_of_what_could_not_be_measured(tmp_path: Path, status: str) -> None:
    created = "2026-01-02T03:04:05+00:00"
    row = failed_row(tmp_path / "a.passd", "tvm", status, "for another processor", created)
    write_row(tmp_path / "row.json", row)
    assert read_row(tmp_path / "row.json") == row
    assert (row["schema"], row["file"], row["reason"]) == (
        SCHEMA, "a.passd", "for another processor",
    )  # fmt: skip
    assert "'reason' must be" in refusal(row_text({**row, "reason": None}))
