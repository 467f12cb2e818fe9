"""Rows from files and folders, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_passd.bench.row import write_row
from edge_passd.errors import BadInput
from edge_passd.report.read import read_rows
from tests.report.rows import made_row, written

STAMPS = ("at", "pre", "infer", "post")


def refusal(*paths: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_rows(paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_and_folders_each_once(tmp_path: Path) -> None:
    written(tmp_path, made_row("a.onnx"), made_row("b.onnx"))
    (tmp_path / "notes.txt").write_text("no row")
    (tmp_path / ".00.1.partial.json").write_text("no row either")
    (tmp_path / "report.json").write_text("{}")
    found = read_rows([tmp_path / "01.json", tmp_path, tmp_path / "00.json"])
    assert [row["file"] for row in found] == ["b.onnx", "a.onnx"]


def test_nothing_to_read(tmp_path: Path) -> None:
    assert "no rows" in refusal()
    assert f"{tmp_path}: no rows (.json)" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "row.json")
    (tmp_path / "empty.json").touch()
    assert "empty.json is empty" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 9, "status": "ok"}', '{"AP": 0.5}'])
def test_no_row(tmp_path: Path, content: str) -> None:
    (tmp_path / "row.json").write_text(content)
    assert str(tmp_path / "row.json") in refusal(tmp_path / "row.json")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latency_ms__p10": 0}, "'latency_ms' must be more than 0"),
        ({"latency_ms__p10": 1e-300}, "'latency_ms' must be more than 0"),
        ({"latency_ms__p99": 0.1}, "'latency_ms' must be more than 0"),
        ({"latency_ms__p99": 1e300}, "'latency_ms' must be more than 0"),
        ({"stages_ms__pre": 1e300}, "'stages_ms' holds"),
        ({"samples_us": {key: [10**400] for key in STAMPS}}, "'samples_us'"),
        ({"accuracy__AP_interval": [-3, 0.5]}, "beyond 0 to 1"),
        ({"accuracy__AP_replicates": [1e308] * 300}, "beyond 0 to 1"),
    ],
)
def test_figures_that_cannot_be(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    write_row(tmp_path / "row.json", made_row(**changes))
    message = refusal(tmp_path / "row.json")
    assert words in message
    assert "measure again" in message


def test_letters_that_cannot_be_printed_become_question_marks(tmp_path: Path) -> None:
    row = {**made_row(), "file": "a\x1b[31m\u202e\x00\ud800ü.onnx"}
    (tmp_path / "row.json").write_text(json.dumps(row))
    assert read_rows([tmp_path / "row.json"])[0]["file"] == "a?[31m???ü.onnx"
