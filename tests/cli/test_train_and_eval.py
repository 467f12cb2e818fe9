"""`train` and `eval` as a user runs them: a data set in, a run folder and figures out."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import pytest

from tests.cli.calls import bad, edge_passd
from tests.export.conftest import make_run

SHORT = ("--epochs", 2, "--batch-size", 3, "--input-size", 64, "--freeze-blocks", 8)


def test_train_then_eval_then_run(photo_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = edge_passd("train", "--data", photo_set, "--out", out, *SHORT)
    assert done.returncode == 0, done.stderr
    assert "3 photos" in done.stderr
    assert "epoch   2/2" in done.stdout
    assert "best AP on val" in done.stdout
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["loss"]) > 0 and 0 <= float(row["AP"]) <= 1 for row in rows)
    assert cv2.imread(str(out / "curves.png")).shape[1] > 500
    assert not list(out.glob(".*")), "a temporary file was left"
    assert not list(out.glob("*.pt")), "weights are safetensors"

    figures = tmp_path / "figures.json"
    done = edge_passd("eval", out, "--data", photo_set, "--json", figures)
    assert done.returncode == 0, done.stderr
    assert "cat" in done.stdout
    assert "3 photos" in done.stdout
    values = json.loads(figures.read_text())
    assert values["engine"] == "torch"
    assert values["images"] == 3
    assert values.keys() >= {
        "AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "VOC07", "VOC", "per_class", "model_sha256"
    }  # fmt: skip

    picture = tmp_path / "boxes.png"
    photo = photo_set / "images" / "chelsea.jpg"
    done = edge_passd("run", out, "--source", photo, "--save", picture, "--conf", 0)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(picture)).shape == cv2.imread(str(photo)).shape

    assert "holds a run already" in bad("train", "--data", photo_set, "--out", out, *SHORT)
    assert edge_passd("train", "--resume", "--out", out).returncode == 0  # nothing left to do


def broken_photo(root: Path) -> None:
    (root / "images" / "coffee.jpg").write_bytes(b"no photo")


def missing_photo(root: Path) -> None:
    (root / "images" / "coffee.jpg").unlink()


def broken_json(root: Path) -> None:
    (root / "val.json").write_text('{"images": [')


def other_classes(root: Path) -> None:
    document = json.loads((root / "val.json").read_text())
    document["categories"][1]["name"] = "dog"
    (root / "val.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (broken_photo, "1 of 3 photos cannot be read"),
        (missing_photo, "coffee.jpg"),
        (broken_json, "val.json"),
        (other_classes, "different classes"),
    ],
)
def test_bad_data_stops_before_training(
    photo_set: Path,
    tmp_path: Path,
    spoil: object,
    words: str,
) -> None:
    data = tmp_path / "data"
    shutil.copytree(photo_set, data)
    assert callable(spoil)
    spoil(data)
    assert words in bad("train", "--data", data, "--out", tmp_path / "run", *SHORT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere"), "nowhere"),
        (("--init", "nowhere.safetensors"), "nowhere.safetensors: no such file"),
        (("--head", "wings"), "propose-attend"),
        (("--input-size", "100"), "multiple of 64"),
        (("--sizes", "large"), "192:0.45"),
        (("--sizes", "64:0.7,128:0.7"), "add up to more than 1"),
        (("--lr", "-1"), "learning_rate must be above 0"),
        (("--weight-decay", "nan"), "weight_decay must be 0 or more"),
        (("--seed", "-1"), "seed must be 0 or more"),
        (("--batch-size", "64"), "batch of 64"),
    ],
)
def test_bad_options_of_train(
    photo_set: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    options = ("--data", photo_set, "--out", tmp_path / "run", *SHORT, *arguments)
    assert words in bad("train", *options)
    assert not (tmp_path / "run").exists()


def test_bad_input_of_eval(photo_set: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", photo_set)
    other = tmp_path / "other"
    shutil.copytree(photo_set, other)
    for split in ("train", "val"):
        document = json.loads((other / f"{split}.json").read_text())
        document["categories"][0]["name"] = "lion"
        (other / f"{split}.json").write_text(json.dumps(document))
    assert "no such model" in bad("eval", tmp_path / "x.onnx", "--data", photo_set)
    assert "the data set" in bad("eval", run, "--data", other)
    assert "test" in bad("eval", run, "--data", photo_set, "--split", "test")
    assert "onnxruntime takes .onnx" in bad(
        "eval", run, "--data", photo_set, "--engine", "onnxruntime"
    )
    assert "no run to resume" in bad("train", "--resume", "--out", tmp_path / "nothing")
