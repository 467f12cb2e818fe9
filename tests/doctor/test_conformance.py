"""Which operator fails in which engine: really tried on those that are installed here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_passd.doctor.answers import ANSWERS, FOLDER
from edge_passd.doctor.cases import CASES
from edge_passd.doctor.conformance import Conformance, try_operators
from edge_passd.doctor.finding import LIMITED
from edge_passd.doctor.runners import RUNNERS, onnxruntime_model
from edge_passd.doctor.trials import (
    CONFORMANT,
    CRASHED,
    UNSUPPORTED,
    WRONG,
    Verdict,
    try_operator,
)
from edge_passd.saturation import saturates
from tests.doctor import fakes

# As measured before: OpenVINO converts neither.
UNSUPPORTED_HERE = {("openvino", "deform_conv"), ("openvino", "qlinear_conv")}
NO_TFLITE = {
    "conv_fp16", "qlinear_conv", "deform_conv", "non_max_suppression", "grid_sample_zeros",
    "grid_sample_zeros_corners", "grid_sample_border", "grid_sample_border_corners",
}  # fmt: skip


@pytest.fixture(scope="module")
def conformance() -> Conformance:
    for library in ("onnxruntime", "openvino", "ai_edge_litert"):
        pytest.importorskip(library)
    told: list[str] = []
    found = try_operators(["onnxruntime", "openvino", "tflite", "tvm"], told.append)
    assert len(told) == sum(map(len, found.verdicts.values()))
    return found


@pytest.mark.parametrize("engine", RUNNERS)
def test_every_operator_is_conformant_or_known_to_be_unsupported(
    conformance: Conformance, engine: str
) -> None:
    cases = CASES.keys() - (NO_TFLITE if engine == "tflite" else set())
    verdicts = conformance.verdicts[engine]
    assert verdicts.keys() == cases
    for name, verdict in verdicts.items():
        states = {UNSUPPORTED if (engine, name) in UNSUPPORTED_HERE else CONFORMANT}
        if CASES[name].limit and saturates(engine):
            states.add(LIMITED)
        assert verdict.state in states, (name, verdict)
    assert not conformance.broken


def test_the_reason_names_the_operator(conformance: Conformance) -> None:
    assert "DeformConv" in conformance.verdicts["openvino"]["deform_conv"].reason


def test_every_file_belongs_to_a_case() -> None:
    names = {path.stem for path in FOLDER.iterdir() if path.suffix in (".onnx", ".tflite")}
    assert names == CASES.keys()
    assert {path.stem for path in FOLDER.glob("*.onnx")} == CASES.keys()
    assert {path.stem for path in FOLDER.glob("*.tflite")} == CASES.keys() - NO_TFLITE


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.limit])
def test_a_wrong_answer_is_caught(name: str, tmp_path: Path) -> None:
    tolerance = CASES[name].tolerance
    with np.load(ANSWERS) as archive:
        arrays = dict(archive)
    key = next(key for key in arrays if key.startswith(f"{name}/out/"))
    arrays[key].flat[-1] += 1.5 * tolerance or 1
    wrong = tmp_path / "answers.npz"
    np.savez(wrong, **arrays)
    file = FOLDER / f"{name}.onnx"
    right = try_operator(onnxruntime_model, file, name, tolerance)
    assert (right.state, right.reason) == (CONFORMANT, "")
    verdict = try_operator(onnxruntime_model, file, name, tolerance, wrong)
    assert verdict.state == WRONG
    assert "off by" in verdict.reason
    assert verdict.error is not None
    assert verdict.error > tolerance


@pytest.mark.parametrize(
    ("load", "state", "reason"),
    [
        (fakes.nan_model, WRONG, "not numbers"),
        (fakes.wrong_model, WRONG, "off by 100"),
        (fakes.flat_model, WRONG, "output y is (486,), not (1, 6, 9, 9)"),
        (fakes.silent_model, WRONG, "output y is absent"),
        (fakes.refuses, UNSUPPORTED, "No conversion rule for Foo"),
    ],
)
def test_what_goes_wrong_has_a_verdict(
    load: Callable[[Path], Any], state: str, reason: str
) -> None:
    verdict = try_operator(load, FOLDER / "conv.onnx", "conv", CASES["conv"].tolerance)
    assert verdict.state == state
    assert reason in verdict.reason


@pytest.mark.parametrize(("name", "state"), [("conv_qdq", WRONG), ("conv_qdq_full", LIMITED)])
def test_a_processor_s_limit_is_no_fault(name: str, state: str) -> None:
    runners = {"fake": (fakes.wrong_model, ".onnx")}
    verdict = try_operators(["fake"], runners=runners).verdicts["fake"][name]
    assert verdict.state == state
    assert ("VNNI" in verdict.reason) == (state == LIMITED)


def test_a_crash_costs_one_operator() -> None:
    runners = {"fake": (fakes.crashes_on_topk, ".onnx")}
    found = try_operators(["fake", "tvm"], runners=runners)
    states = {name: verdict.state for name, verdict in found.verdicts["fake"].items()}
    assert states == {**dict.fromkeys(CASES, CONFORMANT), "topk": CRASHED}
    assert found.verdicts["fake"]["topk"] == Verdict(CRASHED, "crashed (SIGABRT)")
    assert found.broken
    assert found.to_dict()["fake"]["topk"] == {
        "state": CRASHED, "reason": "crashed (SIGABRT)", "error": None,
    }  # fmt: skip


def test_tests_of_an_operator(conformance: Conformance) -> None:
    assert len(conformance.tests("onnxruntime", "GridSample")) == 4
    assert conformance.tests("onnxruntime", "Einsum") == []
    assert conformance.tests("no engine", "Conv") == []
