"""Full-range int8 files: found, refused where their sums saturate, allowed when asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge_passd import saturation
from edge_passd.bench.photos import CAT
from edge_passd.detector import Detector, default_model
from edge_passd.engines import table
from edge_passd.errors import BadInput
from edge_passd.model_info import METADATA_KEY, ModelInfo

ENGINES = ("onnxruntime", "openvino")
NARROW, WIDE = 63, 127


def with_weights(path: Path, largest: int, **training: Any) -> Path:
    """The shipped model with each channel's largest weight at `largest`; training: metadata.

    The scales follow, so that it computes nearly the same.
    """
    proto = onnx.load(default_model())
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    changed: dict[str, np.ndarray] = {}

    def rescale(node: onnx.NodeProto, bits: Any) -> None:
        """Integers times what `bits` of them gives, their scales divided by it."""
        integers, scale = (onnx.numpy_helper.to_array(tensors[name]) for name in node.input[:2])
        factor = bits(node.input[0], integers)
        across = factor.reshape(-1, *[1] * (integers.ndim - 1))
        limits = np.iinfo(integers.dtype)  # biases of dead channels reach them
        rounded = np.rint(integers * across).clip(limits.min, limits.max)
        changed[node.input[0]] = rounded.astype(integers.dtype)
        changed[node.input[1]] = (scale / factor).astype(np.float32)

    factors: dict[str, np.ndarray] = {}

    def of_weights(name: str, integers: np.ndarray) -> np.ndarray:
        most = np.abs(integers.astype(int)).max((1, 2, 3)).clip(min=1)
        factors[name] = largest / most
        return factors[name]

    makers = {name: node for node in proto.graph.node for name in node.output}
    for conv in (node for node in proto.graph.node if node.op_type == "Conv"):
        weights = makers[conv.input[1]]
        if weights.input[0] not in changed:
            rescale(weights, of_weights)
        if len(conv.input) > 2 and makers[conv.input[2]].input[0] not in changed:
            rescale(makers[conv.input[2]], lambda *_, key=weights.input[0]: factors[key])
    for name, values in changed.items():
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    info = json.loads({p.key: p.value for p in proto.metadata_props}[METADATA_KEY])
    info["training"] = {"int8": {}, **training}
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(info)})
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full-range, from before files told how many bits their weights have."""
    return with_weights(tmp_path_factory.mktemp("wide") / "wide.onnx", WIDE)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_weights(tmp_path_factory.mktemp("narrow") / "narrow.onnx", NARROW)


@pytest.fixture
def saturating(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Engines that saturate here, whatever processor this is; none but those put in."""
    names: set[str] = set()
    monkeypatch.setattr(saturation, "saturates", lambda engine: engine in names)
    return names


def test_the_range_is_read_off_the_weights(wide: Path, narrow: Path, tmp_path: Path) -> None:
    assert saturation.is_full_range(wide)
    assert not saturation.is_full_range(narrow)
    assert not saturation.is_full_range(with_weights(tmp_path / "64.onnx", 64))
    assert saturation.is_full_range(with_weights(tmp_path / "65.onnx", 65))


def test_a_gate_that_found_no_error_is_believed(tmp_path: Path) -> None:
    assert not saturation.is_full_range(
        with_weights(tmp_path / "a.onnx", WIDE, x86={"safe": True, "photos": 20})
    )
    assert saturation.is_full_range(
        with_weights(tmp_path / "b.onnx", WIDE, x86={"safe": False, "photos": 20})
    )
    assert saturation.is_full_range(with_weights(tmp_path / "c.onnx", WIDE, x86="yes"))


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_a_broken_promise_is_refused_by_name(engine: str, tmp_path: Path) -> None:
    """On every processor, also where nothing saturates."""
    path = with_weights(tmp_path / "broken.onnx", WIDE, int8={"weight_bits": 7})
    with pytest.raises(BadInput, match=r"broken.onnx: tensor '.+weight.*' holds weights beyond"):
        Detector(path, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_where_it_saturates_it_is_refused_with_the_cures(
    engine: str, wide: Path, narrow: Path, saturating: set[str]
) -> None:
    saturating |= set(ENGINES)
    with pytest.raises(BadInput) as caught:
        Detector(wide, engine)
    message = str(caught.value)
    for word in (str(wide), engine, "VNNI", "edge-passd compile", ".tflite", "edge-passd qat"):
        assert word in message
    assert "--allow-saturation" in message
    assert Detector(narrow, engine).engine == engine


def test_auto_takes_an_engine_that_is_right_and_says_so(
    wide: Path, saturating: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    saturating.add("onnxruntime")
    assert table.choose(wide) == "openvino"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "onnxruntime computes wrong boxes on this processor" in said
    assert "openvino takes its place" in said
    saturating.add("openvino")
    with pytest.raises(BadInput, match="onnxruntime computes wrong boxes"):
        table.choose(wide)


def test_it_can_be_allowed(
    wide: Path, saturating: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    saturating |= set(ENGINES)
    assert Detector(wide, allow_saturation=True).engine == "onnxruntime"
    said = capsys.readouterr().err
    assert said.startswith(f"edge-passd: {wide}: ")
    assert said.count("\n") == 1


def test_a_narrow_file_asks_no_engine(narrow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation, "saturates", lambda engine: pytest.fail("asked"))
    assert table.choose(narrow) == "onnxruntime"


def test_verdicts(wide: Path, narrow: Path, tmp_path: Path) -> None:
    measured = with_weights(tmp_path / "a.onnx", WIDE, x86={"safe": False, "box_error": 31.42})

    def said(path: Path) -> str:
        return saturation.verdict(path, ModelInfo.from_json(_metadata(path), ""))

    assert said(narrow) == "right on every processor"
    assert "wrong in onnxruntime and OpenVINO without VNNI" in said(wide)
    assert "boxes up to 31.4 px off" in said(measured)


def _metadata(path: Path) -> str:
    return {p.key: p.value for p in onnx.load(path).metadata_props}[METADATA_KEY]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    saturation.saturates.cache_clear()
    return tmp_path / "cache" / "edge-passd" / "saturation.json"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_answer_is_computed_once_and_kept(
    engine: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saturation.saturates(engine)
    kept = json.loads(cache.read_text())
    assert list(kept.values()) == [first]
    monkeypatch.setattr(saturation, "_computed", lambda engine: pytest.fail("computed again"))
    saturation.saturates.cache_clear()
    assert saturation.saturates(engine) is first
    monkeypatch.setattr(saturation, "_computed", lambda engine: not first)
    cache.write_text(json.dumps({f"{key} another processor": value for key, value in kept.items()}))
    saturation.saturates.cache_clear()
    assert saturation.saturates(engine) is not first


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "\x00"])
def test_a_broken_cache_is_no_obstacle(content: str, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert saturation.saturates("onnxruntime") in (True, False)
    assert True in (value in (True, False) for value in json.loads(cache.read_text()).values())


def test_without_a_place_to_keep_it_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    saturation.saturates.cache_clear()
    assert saturation.saturates("onnxruntime") in (True, False)


def test_engines_that_multiply_exactly_never_do() -> None:
    assert not any(map(saturation.saturates, ("tvm", "cuda", "torch", "tflite")))


def run_in(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_openvino_kept_to_avx2_is_caught(wide: Path, narrow: Path, tmp_path: Path) -> None:
    """For real: oneDNN's own switch makes any x86 processor one without VNNI."""
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "edge_passd.cli.main", "run", "--engine", "openvino"]
    refused = run_in(environment, *command, "--source", str(CAT), str(wide))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "openvino computes wrong boxes on this processor" in refused.stderr
    for options in ([str(narrow)], [str(wide), "--allow-saturation"]):
        found = run_in(environment, *command, "--source", str(CAT), *options)
        assert found.returncode == 0, found.stderr
        assert "cat" in found.stdout
