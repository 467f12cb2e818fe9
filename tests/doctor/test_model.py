"""A user's model: its operators, and what engines make of it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_passd.detector import default_model
from edge_passd.doctor import model as model_module
from edge_passd.doctor.conformance import Conformance
from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL
from edge_passd.doctor.model import check_model, read_operators, require_model
from edge_passd.doctor.trials import CONFORMANT, UNSUPPORTED, WRONG, Verdict
from edge_passd.errors import BadInput
from tests.doctor.conftest import by_name

onnx = pytest.importorskip("onnx")

ENGINES = ("onnxruntime", "openvino")


def save(folder: Path, text: str) -> Path:
    """text: a graph in ONNX's text form."""
    path = folder / "model.onnx"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]>\n{text}'), path)
    return path


BRANCHES = """
g (bool c, float[2] x) => (float[2] y) {
  y = If (c) <
    then_branch = a () => (float[2] p) { p = Relu(x) },
    else_branch = b () => (float[2] q) { r = Neg(x) q = Relu(r) }
  >
}"""
OPEN = "g (uint8[n,3,h,w] x) => (float[n,3,h,w] y) { y = Cast<to=1>(x) }"
INFINITE = "g (float[4] x) => (float[4] y) { z = Sub(x, x) y = Div(z, z) }"
UNKNOWN = "g (float[4] x) => (float[4] y) { y = NoSuchOperator(x) }"


@pytest.mark.parametrize(
    ("text", "operators"),
    [
        (BRANCHES, {"If": 1, "Relu": 2, "Neg": 1}),
        (OPEN, {"Cast": 1}),
        (UNKNOWN, {"NoSuchOperator": 1}),
    ],
)
def test_operators_are_counted_within_branches_too(
    tmp_path: Path, text: str, operators: dict[str, int]
) -> None:
    assert read_operators(save(tmp_path, text)) == Counter(operators)


def test_an_operator_of_another_domain_keeps_its_domain() -> None:
    found = read_operators(default_model())
    assert found is not None
    assert found["edge_passd.OffsetSample"] == 4
    assert found["Conv"] > 40


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.onnx", b"", "empty"),
        ("model.onnx", b"not a model", "no ONNX model"),
        ("model.tflite", b"TFL3", "looks into .onnx files"),
        ("no.onnx", None, "no such file"),
    ],
)
def test_what_is_no_model(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    def read() -> None:
        require_model(path)
        read_operators(path)

    with pytest.raises(BadInput, match=says) as caught:
        read()
    assert str(path) in str(caught.value)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=80))
def test_garbage_is_told_as_bad_input_or_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.onnx"
    path.write_bytes(content)
    with suppress(BadInput):
        assert read_operators(path)


def check(
    path: Path, engines: tuple[str, ...], verdicts: dict[str, Verdict] | None = None
) -> dict[str, tuple[str, str]]:
    conformance = Conformance(dict.fromkeys(engines, verdicts or {}))
    findings = check_model(path, read_operators(path), (*engines, "torch"), conformance)
    return {name: (each.state, each.found) for name, each in by_name(findings).items()}


@pytest.mark.parametrize(
    ("text", "state", "says"),
    [
        (OPEN, OK, "loads and computes y 1x3x320x320"),
        (BRANCHES, OK, "loads and computes y 2"),
        (INFINITE, BROKEN, "not numbers"),
        (UNKNOWN, BROKEN, "NoSuchOperator"),
    ],
)
def test_engines_try_it(tmp_path: Path, text: str, state: str, says: str) -> None:
    for library in ENGINES:
        pytest.importorskip(library)
    found = check(save(tmp_path, text), ENGINES)
    for name in ENGINES:
        assert (found[name][0], says in found[name][1]) == (state, True), found[name]


@pytest.mark.parametrize(
    ("verdict", "state", "says"),
    [
        (Verdict(CONFORMANT), OK, "conformant: Sigmoid; untested: Tanh"),
        (Verdict(UNSUPPORTED, "no"), MISSING, "unsupported: Sigmoid; untested: Tanh"),
        (Verdict(WRONG, "off"), BROKEN, "wrong: Sigmoid; untested: Tanh"),
    ],
)
def test_its_operators_are_looked_up(
    tmp_path: Path, verdict: Verdict, state: str, says: str
) -> None:
    pytest.importorskip("onnxruntime")
    path = save(tmp_path, "g (float[4] x) => (float[4] y) { z = Sigmoid(x) y = Tanh(z) }")
    found = check(path, ("onnxruntime",), {"sigmoid": verdict})
    assert found["operators"] == (OK, "Sigmoid 1, Tanh 1")
    assert found["onnxruntime, operators"] == (state, says)


def test_without_onnx_engines_still_try_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    path = save(tmp_path, OPEN)
    monkeypatch.setattr(model_module, "find_spec", lambda _: None)
    assert read_operators(path) is None
    found = by_name(check_model(path, None, ["onnxruntime"], Conformance({})))
    assert (found["operators"].state, found["operators"].cure) == (OPTIONAL, "pip install onnx")
    assert found["onnxruntime"].state == OK
    assert found.keys() == {"operators", "onnxruntime"}
