"""`qat` as a user runs it: a float run in, an int8 run, file and detections out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_passd.detector import Detector
from edge_passd.files import read_json
from edge_passd.photo import read_photo
from quant.run_folder import RunFolder
from tests.cli.calls import Here, bad, edge_passd

QUICK = ("--photos", 2, "--epochs", 1, "--batch-size", 3)
MODES = {"qat": (), "ptq": ("--ptq",), "sensitivity": ("--sensitivity",)}


@pytest.fixture(scope="module")
def int8_run(float_run: Path, photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrated by the command."""
    out = tmp_path_factory.mktemp("ptq") / "int8"
    done = edge_passd("qat", float_run, "--data", photo_set, "--ptq", "--photos", 3, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "3 photos" in done.stderr
    assert "best AP on val, int8: " in done.stdout
    assert f"next: edge-passd export {out} -o model.onnx" in done.stdout
    return out


def test_from_a_float_run_to_boxes_on_a_photo(
    here: Here, int8_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    """The whole way: qat --ptq, export, eval, run."""
    file = tmp_path / "model.onnx"
    done = edge_passd("export", int8_run, "-o", file)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime: 44 of 44 convolutions and 100.0%" in done.stdout
    assert "2 classes, int8, " in done.stdout
    assert file.stat().st_size < 7e6

    figures = {}
    for model in (file, int8_run):
        out = tmp_path / "figures.json"
        status, said, log = here.call("eval", model, "--data", photo_set, "--json", out)
        assert status == 0, log
        assert "(int8, " in said
        figures[model] = read_json(out)
        assert figures[model]["precision"] == "int8"
    assert figures[int8_run]["AP"] == read_json(int8_run / "model.json")["figures"]["AP"]

    photo, boxes = photo_set / "images" / "chelsea.jpg", tmp_path / "boxes.jsonl"
    picture = tmp_path / "boxes.png"
    done = edge_passd("run", file, "--source", photo, "--json", boxes, "--save", picture)
    assert done.returncode == 0, done.stderr
    detections = json.loads(boxes.read_text())["detections"]
    assert {each["label"] for each in detections} == {"cat"}
    assert len(detections) > 40
    assert read_photo(picture).shape == read_photo(photo).shape


def test_training_on_the_grids(
    here: Here, float_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "int8"
    options = ("--keep-float", "backbone.stem", "--keep-float", "attend", *QUICK)
    status, said, log = here.call("qat", float_run, "--data", photo_set, "--out", out, *options)
    assert status == 0, log
    assert "epoch   1/1" in said
    assert "best AP on val, int8: " in said
    scheme = read_json(out / "model.json")["int8"]
    assert scheme["keep_float"] == ["backbone.stem", "attend"]
    assert scheme["photos"] == 2
    assert Detector(out).info.precision == "int8"

    before = (out / "best.safetensors").read_bytes()
    status, said, log = here.call("qat", "--resume", "--out", out)  # nothing left to do
    assert status == 0, log
    assert (out / "best.safetensors").read_bytes() == before


def test_sensitivity_and_what_to_do_about_it(
    here: Here, float_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    options = ("--sensitivity", "--keep-float", "backbone", "--keep-float", "pyramid", *QUICK)
    arguments = ("qat", float_run, "--data", photo_set, "--out", tmp_path, *options)
    status, said, log = here.call(*arguments)
    assert status == 0, log
    for row in ("none", "all", "propose.objectness", "propose.offsets", "attend.projection"):
        assert f" {row} " in said
    assert "AP lost" in said
    assert {p.name for p in tmp_path.iterdir()} == {"sensitivity.json", "sensitivity.png"}


def test_help_shows_examples_and_every_choice() -> None:
    done = edge_passd("qat", "--help")
    assert done.returncode == 0
    assert done.stdout.count("  edge-passd qat ") >= 4
    for words in ("--ptq", "--sensitivity", "--keep-float", "minmax", "[default: "):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ((), "Missing option '--out'"),
        (("--out", "x"), "RUN and --data DIR are needed (or --resume to go on)"),
        (("run", "--out", "x"), "RUN and --data DIR are needed"),
        (("--data", "d", "--out", "x"), "RUN and --data DIR are needed"),
        (("run", "--data", "d", "--out", "x", "--photos", "many"), "'many' is not a valid integer"),
        (("run", "--data", "d", "--out", "x", "--colour", "red"), "No such option"),
    ],
)
def test_arguments_that_are_missing_or_wrong(
    arguments: tuple[str, ...], missing: str, here: Here
) -> None:
    status, said, log = here.call("qat", *arguments)
    assert status == 2
    assert said == ""
    (line,) = (line for line in log.splitlines() if line.startswith("Error: "))
    assert missing in line
    assert not Path("x").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--calibration", "best"), "no calibration 'best'; there are minmax, mse"),
        (("--photos", 0), "calibration needs one photo or more, not 0"),
        (("--keep-float", "wings"), "keep float: no layer 'wings'; there are backbone.stem, "),
        (("--data", "nowhere"), "nowhere: no data set"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_options_that_are_refused(
    mode: str,
    options: tuple[object, ...],
    words: str,
    here: Here,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    arguments = ("qat", float_run, "--data", photo_set, "--out", out, *MODES[mode], *QUICK)
    assert words in here.bad(*arguments, *options)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--epochs", 0), "epochs must be 1 or more, not 0"),
        (("--lr", -1), "learning_rate must be above 0, not -1.0"),
        (("--lr", "nan"), "learning_rate must be above 0, not nan"),
        (("--ema", 1), "ema must be at least 0 and below 1"),
        (("--batch-size", 64), "3 photos are too few for a batch of 64"),
        (("--workers", -1), "workers must be 0 or more"),
    ],
)
def test_options_of_the_training_that_are_refused(
    options: tuple[object, ...],
    words: str,
    here: Here,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    arguments = ("qat", float_run, "--data", photo_set, "--out", out, *QUICK, *options)
    assert words in here.bad(*arguments)
    assert not out.exists()


def without_weights(run: RunFolder) -> None:
    run.best.unlink()


def untrained(run: RunFolder) -> None:
    run.write_model(run.read_model()[0], {"AP": 0.0})


def no_run(run: RunFolder) -> None:
    shutil.rmtree(run.path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_weights, "no trained weights yet; quantisation from random weights"),
        (untrained, "AP 0.000 is no better than random weights"),
        (no_run, "no run folder"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_runs_that_are_refused(
    mode: str,
    spoil: Callable[[RunFolder], None],
    words: str,
    here: Here,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(float_run, source)
    spoil(RunFolder(source))
    line = here.bad("qat", source, "--data", photo_set, "--out", out, *MODES[mode], *QUICK)
    assert words in line
    assert str(source) in line
    assert not out.exists()


def other_classes(document: dict[str, Any]) -> None:
    document["categories"][0]["name"] = "lion"


def no_photos(document: dict[str, Any]) -> None:
    document.update(images=[], annotations=[])


def other_size(document: dict[str, Any]) -> None:
    document["images"][0]["width"] += 40


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (other_classes, "classes lion, person; the run"),
        (no_photos, "the split has no photos"),
        (other_size, "photos have another size than their annotation"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_data_that_is_refused(
    mode: str,
    edit: Callable[[dict[str, Any]], None],
    words: str,
    here: Here,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(photo_set, data)
    for split in ("train", "val"):
        document = json.loads((data / f"{split}.json").read_text())
        edit(document)
        (data / f"{split}.json").write_text(json.dumps(document))
    line = here.bad("qat", float_run, "--data", data, "--out", out, *MODES[mode], *QUICK)
    assert words in line
    assert not out.exists()


@pytest.mark.parametrize("mode", MODES)
def test_an_int8_run_is_refused(
    mode: str, here: Here, int8_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = here.bad("qat", int8_run, "--data", photo_set, "--out", out, *MODES[mode], *QUICK)
    assert line == f"edge-passd: {int8_run} is quantised already; start from the float run"
    assert not out.exists()


def test_folders_that_are_refused(
    here: Here, float_run: Path, int8_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in int8_run.iterdir()}
    again = ("qat", float_run, "--data", photo_set, "--out", int8_run, *QUICK)
    assert "holds a run already" in here.bad(*again)
    assert "holds a run already" in here.bad(*again, "--ptq")
    assert "calibrated only" in here.bad("qat", "--resume", "--out", int8_run)
    assert "holds no run to resume" in here.bad("qat", "--resume", "--out", tmp_path / "nothing")
    assert {path.name: path.read_bytes() for path in int8_run.iterdir()} == before


def test_a_bad_call_from_a_shell(photo_set: Path, tmp_path: Path) -> None:
    line = bad("qat", tmp_path / "no\nrun", "--data", photo_set, "--out", tmp_path / "out")
    assert "no run folder" in line
