"""Export of an int8 run through its public door: its gate, its metadata, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.files import read_json
from edge_passd.model_file import read_info
from edge_passd.model_info import METADATA_KEY
from edge_passd.onnx_file import read
from edge_passd.parity import INT8_LIMITS
from edge_passd.saturation import is_full_range, saturates
from quant.export import formats
from quant.export.export import ExportOptions, export
from quant.int8.run import calibrate_only
from quant.int8.scheme import Scheme
from quant.tensors import read_tensors
from tests.export.conftest import INT8_SIZE
from tests.export.test_share import multiply_adds

ENGINES = ("onnxruntime", "openvino")


@pytest.fixture(scope="session")
def exported(int8_file: tuple[Path, str]) -> Path:
    return int8_file[0]


def test_the_file_tells_what_it_is_and_how_it_was_checked(exported: Path, int8_run: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    info = json.loads({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
    assert info["precision"] == "int8"
    assert info["input_size"] == INT8_SIZE
    training = info["training"]
    assert training["int8"] == read_json(int8_run / "model.json")["int8"]
    assert training["images"] == 3
    for record, engine in zip(training["parity"], ENGINES, strict=True):
        assert record["engine"] == engine
        assert record["photos"] == 3
        assert record["detections"] > 100
        assert record["limits"]["matched"] == INT8_LIMITS.matched
        assert INT8_LIMITS.matched <= record["matched"] <= 1
        assert 0 < record["boxes"] <= INT8_LIMITS.box_error
        assert 0 < record["mean_box_error"] <= INT8_LIMITS.mean_box_error
        assert record["mean_score_error"] <= INT8_LIMITS.mean_score_error


def test_weights_of_7_bits_are_right_without_vnni(int8_file: tuple[Path, str]) -> None:
    exported, said = int8_file
    record = Detector(exported).info.training["x86"]
    assert (record["safe"], record["box_error"], record["photos"]) == (True, 0.0, 0)
    assert "x86 without VNNI: right, no sum of these weights saturates" in said
    assert all(abs(weights.astype(int)).max() <= 63 for weights in read(exported).weights.values())


def test_weights_of_8_bits_are_emulated_and_told_about(
    int8_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    """On any machine; on one that saturates the parity gate refuses them, and names the reason."""
    run, output, screen = tmp_path / "run", tmp_path / "model.onnx", io.StringIO()
    scheme = Scheme(photos=3, weight_bits=8)
    calibrate_only(int8_run.parent / "float", run, photo_set, scheme, Console(quiet=True))
    try:
        export(ExportOptions(run, output), Console(file=screen, width=60))
    except BadInput as refused:
        assert any(map(saturates, ENGINES))
        assert "--weight-bits 7 is right everywhere" in str(refused)  # noqa: PT017
        return
    record = read_info(output).training["x86"]
    assert record["photos"] == 3
    assert record["box_error"] > record["mean_box_error"] > 0
    assert f"boxes within {record['box_error']:.2g} px" in screen.getvalue()
    assert is_full_range(output) is not record["safe"]


def test_every_convolution_runs_on_integers(int8_file: tuple[Path, str]) -> None:
    exported, said = int8_file
    macs = sum(multiply_adds(INT8_SIZE).values())
    for share, engine in zip(Detector(exported).info.training["int8_share"], ENGINES, strict=True):
        assert share["engine"] == engine
        assert share["convolutions"] == share["integer_convolutions"] == 44
        assert share["macs"] == share["integer_macs"] == macs
        line = f"{engine}: 44 of 44 convolutions and 100.0% of their 0.11 G multiply-adds on integ"
        assert line in said


def test_it_is_a_quarter_of_the_float_weights(exported: Path, int8_run: Path) -> None:
    tensors, _ = read_tensors(int8_run / "best.safetensors")
    floats = 4 * sum(tensor.numel() for tensor in tensors.values())
    assert 0.24 < exported.stat().st_size / floats < 0.28


def test_every_engine_finds_the_same(exported: Path, int8_run: Path, photo_set: Path) -> None:
    """Half a pixel apart at most, of boxes that are no multiples of any step."""
    photo = photo_set / "images" / "chelsea.jpg"
    expected = Detector(int8_run).detect(photo)
    assert len(expected) > 40
    for engine in ENGINES:
        found = Detector(exported, engine).detect(photo)
        assert abs(len(found) - len(expected)) < 3
        near = np.abs(found.boxes[:, None] - expected.boxes).max(2).min(1)
        assert np.median(near) < 2  # pixels of the photo, which is seven times as wide
        assert len(np.unique(found.boxes)) > 100


def test_the_file_tells_nothing_about_the_machine(exported: Path, int8_run: Path) -> None:
    content = exported.read_bytes()
    for secret in (str(Path.home()), str(int8_run), str(Path(__file__).parent), "site-packages"):
        assert secret.encode() not in content


def test_a_conversion_that_loses_weights_fails_the_gate(
    exported: Path, int8_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = onnx.load(exported)
    lost = next(t for t in graph.graph.initializer if t.data_type == onnx.TensorProto.INT8)
    lost.CopyFrom(onnx.numpy_helper.from_array(np.zeros(lost.dims, np.int8), lost.name))
    monkeypatch.setattr(formats, "to_onnx", lambda model: graph)
    output = tmp_path / "model.onnx"
    output.write_text("what stood here before")
    with pytest.raises(BadInput, match=r"parity gate: onnxruntime: .* kept as .*model\.failed"):
        export(ExportOptions(int8_run, output), Console(quiet=True))
    assert output.read_text() == "what stood here before"
    assert (tmp_path / "model.failed.onnx").stat().st_size > 1e6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.failed.onnx", "model.onnx"]


@pytest.mark.parametrize(
    ("name", "half", "message"),
    [
        ("model.onnx", True, "is int8, smaller than float16; leave --half out"),
        ("model.tflite", True, "--half is for .onnx files"),
        ("model.pb", False, "model.pb: name a file that ends with .onnx or .tflite"),
        ("model", False, "model: name a file that ends with .onnx or .tflite"),
    ],
)
def test_what_is_refused(
    name: str, half: bool, message: str, int8_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as caught:
        export(ExportOptions(int8_run, tmp_path / name, half=half), Console(quiet=True))
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_gate_without_photos_is_no_gate(int8_run: Path, photo_set: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    document = json.loads((photo_set / "val.json").read_text())
    document |= {"images": [], "annotations": []}
    (data / "val.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="data val: the split has no photos"):
        export(ExportOptions(int8_run, tmp_path / "model.onnx", data), Console(quiet=True))
    assert not (tmp_path / "model.onnx").exists()
