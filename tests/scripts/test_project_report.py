"""The script once, as small as it goes; a peer whose network is a constant stands for all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

import project_report
from edge_passd.bench.row import OK, read_row, row_text
from edge_passd.errors import BadInput
from peers.artefacts import Artefact
from peers.table import PEERS, files_of
from project_report import Settings, chosen, known_row, measure
from project_row import QUICK
from tests.scripts.test_peers import BOX, fastestdet_outputs

ANIMALS = ("dog", "cat", "sheep", "horse", "cow")
SIZE = 64
ROWS = ("small-int8-tvm", "fastestdet-onnxruntime", "nanodet-m-ncnn")


def write_data(folder: Path, photo: np.ndarray) -> None:
    """Three photos of a cat where the constant peer sees one, in COCO's form."""
    (folder / "images").mkdir(parents=True)
    height, width = photo.shape[:2]
    x1, y1, x2, y2 = (BOX * np.tile([width, height], 2) / 352).tolist()
    for number in range(3):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), photo // (number + 1))
    truth = {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": width, "height": height} for n in range(3)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(ANIMALS, start=1)],
        "annotations": [
            {
                "id": n + 1,
                "image_id": n,
                "category_id": 2,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for n in range(3)
        ],
    }
    (folder / "val.json").write_text(json.dumps(truth))


def write_model(path: Path) -> None:
    """A model of the animals with random weights."""
    from quant.engine import model_info
    from quant.export.formats import ONNX
    from quant.model import ModelConfig
    from quant.training.trainer import random_model

    model = random_model(ModelConfig(ANIMALS, SIZE), seed=0).eval()
    path.write_bytes(ONNX.write(model, model_info(model, {})))


def write_constant_peer(folder: Path) -> None:
    """FastestDet's file, with a network that sees the cat whatever the picture is."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    (output,) = fastestdet_outputs(BOX, 15, 0.9)
    value = numpy_helper.from_array(output, "value")
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["output"], value=value)],
        "constant",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 352, 352))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output.shape)],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    (published,) = (each for each in PEERS if each.name == "FastestDet")
    (path,) = files_of(published, folder)
    path.parent.mkdir(parents=True)
    onnx.save(model, path)


@dataclass(frozen=True)
class Place:
    """A folder with all that the script takes, and its output after the first run."""

    folder: Path
    first: Result

    @property
    def rows(self) -> dict[str, Path]:
        return {path.stem: path for path in (self.folder / "out" / "rows").glob("*.json")}


def call(folder: Path, *arguments: object) -> Result:
    options: dict[str, object] = {
        "--data": folder / "animals", "--peers": folder / "peers", "--out": folder / "out",
        "--models": folder / "models", "--int8": folder / "small.onnx", "--threads": 1,
        "--python": sys.executable,
    }  # fmt: skip
    given = [str(each) for pair in options.items() for each in pair]
    return CliRunner().invoke(project_report.main, [*given, "--quick", *map(str, arguments)])


def only(*names: str) -> list[str]:
    return [each for name in names for each in ("--only", name)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray) -> Place:
    pytest.importorskip("tvm")
    folder = tmp_path_factory.mktemp("report")
    write_data(folder / "animals", photo)
    write_model(folder / "small.onnx")
    write_constant_peer(folder / "peers")
    return Place(folder, call(folder, *only(*ROWS)))


def test_every_artefact_has_its_row_in_turn_with_the_compiled_one(place: Place) -> None:
    assert place.first.exit_code == 0, place.first.output
    assert place.rows.keys() == set(ROWS)
    rows = {name: read_row(path) for name, path in place.rows.items()}
    bundle = rows["small-int8-tvm"]
    for name in ROWS[:2]:
        row = rows[name]
        assert row["status"] == OK, name
        assert row["against"]["model_sha256"] == bundle["model_sha256"]
        ratio = row["against"]["ratio"]
        assert 0 < ratio["low"] <= ratio["value"] <= ratio["high"]
        assert (row["threads"], row["photos"]["count"]) == (1, 3)
        assert row["protocol"] == asdict(QUICK)
        assert row["accuracy"]["images"] == 3
    peer = rows["fastestdet-onnxruntime"]
    assert peer["file"] == peer["model"] == "FastestDet"
    assert peer["accuracy"]["AP50"] == pytest.approx(1)
    assert peer["training"] == {"data": "COCO"}
    assert peer["versions"]["onnxruntime"]
    assert "give --float MODEL" in place.first.output
    assert "small-int8-tvm: p50" in place.first.output


def test_what_cannot_be_measured_says_why(place: Place) -> None:
    row = read_row(place.rows["nanodet-m-ncnn"])
    assert (row["status"], row["file"], row["engine"]) == ("failed", "NanoDet-m", "ncnn")
    assert "no such file" in row["reason"] or "needs ncnn" in row["reason"]
    assert str(place.folder) not in row["reason"]
    assert f"nanodet-m-ncnn: failed: {row['reason']}" in place.first.output


def test_the_page_is_made_of_the_rows(place: Place) -> None:
    page = (place.folder / "out" / "report.html").read_text()
    assert "FastestDet" in page
    assert "NanoDet-m" in page


def test_rows_that_are_there_are_kept(place: Place) -> None:
    before = {name: path.read_bytes() for name, path in place.rows.items()}
    again = call(place.folder, *only("fastestdet-onnxruntime", "small-int8-tvm"))
    assert again.exit_code == 0, again.output
    assert {name: path.read_bytes() for name, path in place.rows.items()} == before


def settings(row: Mapping[str, Any], **changes: Any) -> Settings:
    """Those that a row was measured with."""
    sha256 = row["against"]["model_sha256"]
    reference = Artefact("small-int8-tvm", Path("small.passd"), "tvm", sha256)
    known = Settings(
        reference, Path("animals"), row["accuracy"]["data_sha256"], Path("photos"),
        row["threads"], True, Path(sys.executable),
    )  # fmt: skip
    return replace(known, **changes)


def test_a_row_of_other_settings_is_not_kept(place: Place, tmp_path: Path) -> None:
    path = place.rows["fastestdet-onnxruntime"]
    row = read_row(path)
    same = Artefact("fastestdet", Path("f.onnx"), "onnxruntime", row["model_sha256"], "FastestDet")
    other = replace(settings(row).reference, sha256="1" * 64)
    assert known_row(same, settings(row), path) == row
    for artefact, changed in (
        (replace(same, sha256="1" * 64), {}),
        (replace(same, sha256=None), {}),
        (replace(same, engine="openvino"), {}),
        (same, {"threads": 2}),
        (same, {"quick": False}),
        (same, {"data_sha256": "1" * 64}),
        (same, {"reference": other}),
    ):
        assert known_row(artefact, settings(row, **changed), path) is None, changed
    assert known_row(same, settings(row), tmp_path / "none.json") is None
    cut = tmp_path / "cut.json"
    cut.write_bytes(path.read_bytes()[:500])
    assert known_row(same, settings(row), cut) is None
    alone = tmp_path / "alone.json"
    alone.write_text(row_text({**row, "against": None}))
    assert known_row(same, settings(row), alone) is None
    assert known_row(same, settings(row), place.rows["nanodet-m-ncnn"]) is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo Usage: >&2; echo 'Error: /a/b/model.onnx: no such engine' >&2; exit 2",
         "model.onnx: no such engine"),
        ("echo Traceback >&2; echo 'MemoryError: too much' >&2; exit 1", "MemoryError: too much"),
        ("kill -SEGV $$", "ended with -11"),
        ("exec sleep 60", "not done after 0.5 s"),
    ],
)  # fmt: skip
def test_a_process_that_fails_becomes_a_row(
    script: str, reason: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(project_report, "LIMIT_S", 0.5)
    row = read_row(place.rows["fastestdet-onnxruntime"])
    artefact = Artefact("ours", Path("/a/b/model.onnx"), "onnxruntime", None)
    path = tmp_path / "row.json"
    failed = measure(artefact, settings(row, python=program), path)
    assert (failed["status"], failed["reason"], failed["file"]) == ("failed", reason, "model.onnx")
    assert failed == read_row(path)
    assert os.listdir(tmp_path).count("row.json") == 1


def test_bad_input_is_one_line(place: Place, tmp_path: Path) -> None:
    for arguments, words in (
        (only("yolo"), "--only yolo: no such row; there are small-int8-onnxruntime"),
        (["--data", tmp_path / "nowhere"], "nowhere"),
        (["--peers", tmp_path / "nowhere"], "nowhere: no such folder"),
        (["--python", tmp_path / "nowhere"], "nowhere: no such program"),
        (["--int8", tmp_path / "no.onnx"], "no such file"),
        (["--tflite", place.folder / "small.onnx"], "no TFLite model"),
    ):
        done = call(place.folder, *arguments)
        assert done.exit_code == 2, done.output
        assert words in done.output, done.output
        assert "Traceback" not in done.output
    with pytest.raises(BadInput, match="no such row"):
        chosen([], ["yolo"])
