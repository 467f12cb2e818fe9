"""Markdown, CSV and JSON hold what was measured, and no more."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bench.row import failed_row
from edge_passd.report.comparison import Comparison, compare
from edge_passd.report.formats import MINUS
from edge_passd.report.records import records
from edge_passd.report.tables import csv_text, escaped, json_text, markdown
from tests.report.rows import CREATED, made_row

NASTY = "<script>alert(1)</script> | a*b_c `d` [e](f) ü"


def comparison() -> Comparison:
    estimate = {"value": -0.004, "low": -0.01, "high": 0.002}
    rows = [
        made_row(
            NASTY,
            10,
            baseline={"model": "m", "precision": "fp32", "engine": "x", "file": "float.onnx",
                      "AP": 0.5, "AP_difference": estimate},
            against={"model": "m", "precision": "fp32", "engine": "tvm", "rounds": 10,
                     "ratio": estimate, "infer_ratio": estimate},
        ),
        made_row("b.onnx", 20, None, threads=None, peak_rss_bytes=None, model_bytes=None),
        made_row("few.onnx", 20, images=9, data="few"),
        failed_row(Path("c.onnx"), "tvm", "unsupported", "for | another processor", CREATED),
    ]  # fmt: skip
    return compare(rows)


def test_json_is_the_records_by_data_set() -> None:
    found = json.loads(json_text(comparison(), "Title"))
    rows = [row for section in found["sections"] for row in section["rows"]]
    assert rows == json.loads(json.dumps(records(comparison())))
    assert {section["data"] for section in found["sections"]} == {"animals val", "few", None}
    (first,) = (row for row in rows if row["artefact"] == NASTY)
    assert (first["baseline"], first["baseline_difference"]) == ("float.onnx", -0.004)
    assert (first["against_engine"], first["against_ratio_high"]) == ("tvm", 0.002)
    (unknown,) = (row for row in rows if row["artefact"] == "b.onnx")
    for key in ("AP", "AP50", "images", "threads", "peak_rss_bytes", "j_per_frame", "baseline"):
        assert unknown[key] is None
    assert found["failures"][0]["reason"] == "for | another processor"


def test_csv_says_the_same_as_json() -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(comparison()))))
    *measured, failed = lines
    for line, record in zip(measured, records(comparison()), strict=True):
        assert {key: _value(line[key], record[key]) for key in record} == record
    assert (failed["artefact"], failed["rank"]) == ("c.onnx", "")
    assert failed["notes"] == "unsupported: for | another processor"


def _value(text: str, like: Any) -> Any:
    if like is None:
        return None if text == "" else text
    return text == "true" if isinstance(like, bool) else type(like)(text)


def test_csv_runs_no_formula() -> None:
    text = csv_text(compare([made_row("=HYPERLINK(1)"), made_row("@b"), made_row("-c")]))
    names = [line["artefact"] for line in csv.DictReader(io.StringIO(text))]
    assert sorted(names) == ["'-c", "'=HYPERLINK(1)", "'@b"]


def test_markdown_has_a_table_for_each_data_set() -> None:
    text = markdown(comparison(), "A *title*")
    assert text.startswith("# A \\*title\\*\n")
    assert re.findall(r"(?m)^## (.*)$", text) == [
        "animals val",
        "few",
        "Speed only",
        "Not measured",
    ]
    assert "<script>" not in text
    tables = re.findall(r"(?m)(?:^\|.*\|$\n?)+", text)
    assert len(tables) == 4
    for table in tables:
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in table.strip().splitlines()}
        assert len(cells) == 1
    assert f"{MINUS}0.40 ({MINUS}1.00 to +0.20)" in text


@given(text=st.text())
def test_escaping_leaves_nothing_that_markdown_would_read(text: str) -> None:
    left = re.sub(r"\\[\\`*_\[\]<>|~#&$!]", "", escaped(text))
    assert not set(left) & set("\\`*_[]<>|~#&$!")
    assert re.sub(r"\\([\\`*_\[\]<>|~#&$!])", r"\1", escaped(text)) == text
