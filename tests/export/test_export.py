"""Export through its public door: the file, its gate, and what goes wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

import quant.export.formats as formats
from edge_passd.detector import Detector
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from edge_passd.model_info import METADATA_KEY
from edge_passd.offset_sample import DOMAIN, NAME
from edge_passd.photo import read_photo
from quant.engine import TorchEngine
from quant.export.export import ExportOptions, export
from quant.export.graph import round_to_half, to_onnx
from quant.model.config import HEADS
from quant.run_folder import load_run
from tests.export.conftest import SIZE, make_run


def silent() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="session")
def exported(float_file: Path) -> Path:
    return float_file


def test_file_holds_the_contract(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    operators = Counter((node.domain, node.op_type) for node in model.graph.node)
    assert operators[DOMAIN, NAME] == 4  # one for each level, each consumer's to lower
    assert operators["", "BatchNormalization"] == 0
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["boxes", "scores"]
    info = json.loads({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
    assert info["classes"] == ["cat", "person"]
    assert info["input_size"] == SIZE
    assert info["training"]["epoch"] == 3
    engines = [record["engine"] for record in info["training"]["parity"]]
    assert engines == ["onnxruntime", "openvino"]
    assert all(r["boxes"] <= 0.01 and r["scores"] <= 1e-4 for r in info["training"]["parity"])


def test_file_tells_nothing_about_the_machine(exported: Path, run_folder: Path) -> None:
    content = exported.read_bytes()
    for secret in (str(Path.home()), str(run_folder), str(Path(__file__).parent), "site-packages"):
        assert secret.encode() not in content


def test_every_engine_detects_the_same(exported: Path, run_folder: Path, photo_set: Path) -> None:
    photo = photo_set / "images" / "chelsea.jpg"
    expected = Detector(run_folder).detect(photo)
    assert len(expected) > 5
    for engine in ("onnxruntime", "openvino"):
        found = Detector(exported, engine).detect(photo)
        assert found.names == expected.names
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


@pytest.mark.parametrize("head", [name for name in HEADS if name != "propose-attend"])
def test_heads_of_the_ablation_export_too(head: str, photo_set: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", photo_set, head)
    info = export(ExportOptions(run, tmp_path / "model.onnx", photos=1), silent())
    assert [record["matched"] for record in info.training["parity"]] == [1.0, 1.0]


def test_half_weights_halve_the_file_and_lose_nothing_more(
    exported: Path, run_folder: Path, photo_set: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half.onnx"
    export(ExportOptions(run_folder, half, half=True), silent())
    assert half.stat().st_size < 0.51 * exported.stat().st_size
    model, _ = load_run(run_folder)
    detector = Detector.from_engine(TorchEngine.of(round_to_half(model)))
    image, _ = detector.preprocess(read_photo(photo_set / "images" / "coffee.jpg"))
    expected = detector.infer(image)
    found = Detector(half).infer(image)
    np.testing.assert_allclose(found[0], expected[0], atol=0.01)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)


def test_failed_gate_deletes_nothing(
    run_folder: Path, photo_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = load_run(make_run(tmp_path / "other", photo_set, seed=1))
    monkeypatch.setattr(formats, "to_onnx", lambda model: to_onnx(other))
    output = tmp_path / "model.onnx"
    output.write_text("what stood here before")
    with pytest.raises(BadInput, match="parity gate: onnxruntime: output 'boxes' differs by"):
        export(ExportOptions(run_folder, output), silent())
    assert output.read_text() == "what stood here before"
    assert (tmp_path / "model.failed.onnx").stat().st_size > 1e6
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.failed.onnx",
        "model.onnx",
        "other",
    ]


def test_bad_runs_end_with_one_line(run_folder: Path, photo_set: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    unfinished = make_run(tmp_path / "unfinished", photo_set)
    (unfinished / "best.safetensors").unlink()
    cut = make_run(tmp_path / "cut", photo_set)
    (cut / "best.safetensors").write_bytes((run_folder / "best.safetensors").read_bytes()[:1000])
    lost = make_run(tmp_path / "lost", photo_set)
    (lost / "training.json").write_text(json.dumps({"data": str(tmp_path / "gone")}))
    nameless = make_run(tmp_path / "nameless", photo_set)
    (nameless / "training.json").write_text("{}")
    cases = [
        (nameless, "give --data"),
        (empty, "no run folder"),
        (tmp_path / "nowhere", "no run folder"),
        (unfinished, "no measured weights yet"),
        (cut, "not a readable safetensors file"),
        (lost, "give --data"),
    ]
    for run, words in cases:
        with pytest.raises(BadInput, match=words):
            export(ExportOptions(run, tmp_path / "model.onnx"), silent())
    assert not (tmp_path / "model.onnx").exists()


def test_command_line(run_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "model.onnx"
    command = [sys.executable, "-m", "edge_passd", "export"]
    done = subprocess.run(
        [*command, str(run_folder), "-o", str(output), "--photos", "1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "100.0% of" in done.stdout
    assert load_engine(output).name == "onnxruntime"
    bad = subprocess.run(
        [*command, str(tmp_path), "-o", str(tmp_path / "x.onnx")], capture_output=True, text=True
    )
    assert bad.returncode == 2
    assert len(bad.stderr.splitlines()) == 1
    assert "edge-passd train" in bad.stderr
