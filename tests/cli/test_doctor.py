"""`edge-passd doctor`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_passd.doctor.answers import FOLDER
from edge_passd.doctor.cases import CASES
from edge_passd.doctor.checkup import GROUPS, SCHEMA
from edge_passd.doctor.finding import BROKEN, OK, OPTIONAL
from edge_passd.engines.table import ENGINES
from tests.cli.calls import bad, edge_passd

KEYS = {"schema", "edge_passd", "broken", "groups", "operators"}


def test_a_checkup_of_this_machine_and_of_a_model(tmp_path: Path) -> None:
    """DeformConv: onnxruntime has it, OpenVINO does not, so there is something broken."""
    for library in ("onnxruntime", "openvino", "onnx"):
        pytest.importorskip(library)
    file = tmp_path / "reports" / "doctor.json"
    done = edge_passd("doctor", FOLDER / "deform_conv.onnx", "--json", file)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    report = json.loads(file.read_text())
    assert report.keys() == KEYS
    assert (report["schema"], report["broken"]) == (SCHEMA, True)
    assert list(report["groups"]) == [*GROUPS, "model"]
    for group in report["groups"].values():
        for finding in group:
            assert finding.keys() == {"name", "state", "found", "cure"}
            assert finding["name"] in done.stdout
    states = {each["name"]: each["state"] for each in report["groups"]["model"]}
    assert states == {
        "operators": OK, "onnxruntime": OK, "onnxruntime, operators": OK,
        "openvino": BROKEN, "openvino, operators": "missing",
    }  # fmt: skip
    others = [each for name in GROUPS for each in report["groups"][name]]
    assert [each for each in others if each["state"] == BROKEN] == []
    assert report["operators"]["onnxruntime"].keys() == CASES.keys()
    assert report["operators"]["openvino"]["deform_conv"]["state"] == "unsupported"
    assert "\x1b[" not in done.stdout
    assert "-> try another engine" in done.stdout


def test_quick_writes_json_alone_on_stdout() -> None:
    done = edge_passd("doctor", "--quick", "--json", "-")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert report["operators"] is None
    assert not report["broken"]
    names = [each["name"] for each in report["groups"]["engines"]]
    assert [name for name in names if name in ENGINES] == list(ENGINES)
    assert {each["state"] for each in report["groups"]["cameras"]} <= {OK, OPTIONAL, BROKEN}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no.onnx"], "no such file: no.onnx"),
        (["pyproject.toml"], "looks into .onnx files"),
        (["--json", "/no-folder-of-ours.txt/x", "--quick", "no.onnx"], "no such file"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], says: str) -> None:
    assert says in bad("doctor", *arguments)


def test_an_unwritable_report_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    assert "is a folder; name a file" in bad("doctor", "--json", tmp_path)
