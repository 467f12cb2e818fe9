"""Engines: absent, whole, crashing, hanging and computing nonsense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_passd.board.identity import JETSON, PC, RASPBERRY_PI
from edge_passd.doctor import engines
from edge_passd.doctor.answers import FOLDER, MODEL_ANSWER
from edge_passd.doctor.cases import SATURATES
from edge_passd.doctor.child import Call, Outcome
from edge_passd.doctor.engines import (
    TRIALS,
    check_engines,
    cuda_finding,
    model_finding,
)
from edge_passd.doctor.finding import BROKEN, LIMITED, MISSING, OK, OPTIONAL, UNTRIED
from edge_passd.doctor.trials import CONVOLUTION, WRONG, try_convolution, try_shipped_model
from edge_passd.engines.cuda_driver import GpuInfo
from edge_passd.engines.table import ENGINES
from edge_passd.errors import BadInput
from edge_passd.saturation import saturates
from tests.doctor import fakes
from tests.doctor.conftest import by_name

ORIN = GpuInfo(0, "Orin", (8, 7), (12, 6))


def test_the_engines_of_this_machine_compute() -> None:
    for library in ("onnxruntime", "openvino", "ai_edge_litert", "torch"):
        pytest.importorskip(library)
    found = by_name(check_engines(PC, False))
    assert list(found)[1:] == list(ENGINES)
    for name in ("onnxruntime", "openvino"):
        assert found[name].state == (LIMITED if saturates(name) else OK), found[name]
        assert f"{name} " in found[name].found
    for name in ("tflite", "torch"):
        assert found[name].state == OK, found[name]
    assert found["shipped model"].state == OK
    assert found["tvm"].state == UNTRIED


def test_quick_tries_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "TRIALS", {name: Call(fakes.aborts) for name in TRIALS})
    states = {each.name: each.state for each in check_engines(PC, True)}
    assert {states[name] for name in TRIALS if ENGINES[name].library} == {UNTRIED}


@pytest.mark.parametrize(
    ("trial", "says"),
    [
        (Call(fakes.aborts), "crashed (SIGABRT)"),
        (Call(fakes.hangs), "no answer within 4 s"),
        (Call(fakes.refuses), "No conversion rule for Foo"),
        (Call(try_convolution, (fakes.nan_model, FOLDER / f"{CONVOLUTION}.onnx")), "not numbers"),
        (Call(try_convolution, (fakes.wrong_model, FOLDER / f"{CONVOLUTION}.onnx")), "off by 100"),
    ],
)
def test_an_engine_that_does_not_work_is_broken(
    monkeypatch: pytest.MonkeyPatch, trial: Call, says: str
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(engines, "ENGINES", {"onnxruntime": ENGINES["onnxruntime"]})
    monkeypatch.setattr(engines, "TRIALS", {"onnxruntime": trial})
    found = by_name(check_engines(PC, False, limit_s=4.0))["onnxruntime"]
    assert found.state == BROKEN
    assert says in found.found
    assert found.cure == 'pip install --force-reinstall "edge-passd[onnxruntime]"'


def test_what_is_not_installed_is_optional_unless_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = {
        name: replace(row, libraries=("no_such_library",)) if row.libraries else row
        for name, row in ENGINES.items()
    }
    monkeypatch.setattr(engines, "ENGINES", absent)
    found = by_name(check_engines(PC, True))
    assert (found["openvino"].state, found["openvino"].cure) == (
        OPTIONAL, 'pip install "edge-passd[openvino]"',
    )  # fmt: skip
    assert found["an engine"].state == MISSING
    assert "onnxruntime" in found["an engine"].cure
    kept = {**absent, "openvino": replace(ENGINES["openvino"], libraries=("json",))}
    monkeypatch.setattr(engines, "ENGINES", kept)
    assert "an engine" not in by_name(check_engines(PC, True))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: {**a, "boxes": a["boxes"] + 40}, "output 'boxes' differs by"),
        (lambda a: {**a, "boxes": a["boxes"] + 2}, "on average"),
        (lambda a: {**a, "scores": a["scores"] * np.nan}, "output 'scores' differs by nan"),
    ],
)
def test_another_answer_than_the_stored_one_is_no_success(
    tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], says: str
) -> None:
    pytest.importorskip("onnxruntime")
    with np.load(MODEL_ANSWER) as archive:
        changed = change(dict(archive))
    np.savez(tmp_path / "model.npz", **changed)
    verdict = try_shipped_model("onnxruntime", tmp_path / "model.npz")
    assert verdict.state == WRONG
    assert says in verdict.reason


def test_an_engine_that_saturates_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real: oneDNN's own switch makes any x86 processor one without VNNI."""
    pytest.importorskip("openvino")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engines, "ENGINES", {"openvino": ENGINES["openvino"]})
    found = by_name(check_engines(PC, False))["openvino"]
    assert found.state == LIMITED
    assert "finds cat" in found.found  # the shipped model has weights of 7 bits
    assert SATURATES in found.found
    assert "edge-passd qat" in found.cure


def test_the_shipped_model_is_the_one_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_finding().state == OK
    other = tmp_path / "animals5.onnx"
    other.write_bytes(b"damaged")
    monkeypatch.setattr(engines, "default_model", lambda: other)
    assert model_finding().state == BROKEN

    def none() -> Path:
        raise BadInput("carries no model")

    monkeypatch.setattr(engines, "default_model", none)
    assert model_finding().state == MISSING


@pytest.mark.parametrize(
    ("kind", "outcome", "state", "says"),
    [
        (JETSON, Outcome(ORIN), OK, "Orin, sm_87, driver for CUDA 12.6"),
        (JETSON, Outcome(None), MISSING, "no driver"),
        (PC, Outcome(None), OPTIONAL, "no NVIDIA driver"),
        (RASPBERRY_PI, Outcome(None), OPTIONAL, "no NVIDIA driver"),
        (PC, Outcome(None, "the CUDA driver finds no GPU"), BROKEN, "finds no GPU"),
        (PC, Outcome(None, "crashed (SIGSEGV)", True), BROKEN, "crashed (SIGSEGV)"),
    ],
)
def test_the_gpu(kind: str, outcome: Outcome, state: str, says: str) -> None:
    found = cuda_finding(kind, outcome)
    assert (found.state, says in found.found) == (state, True)
    assert bool(found.cure) == (state != OK and kind != RASPBERRY_PI)
