"""`qat` as a function: from a float run to an int8 run folder, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import quant.training.trainer as trainer
from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.files import read_json
from edge_passd.photo import read_photo
from edge_passd.samples import DataSet
from quant.data.reader import spread_photos
from quant.engine import TorchEngine
from quant.int8.calibrate import calibrate
from quant.int8.convert import quantise
from quant.int8.run import calibrate_only, train_quantised
from quant.int8.scheme import Scheme
from quant.model import PASSD
from quant.run_folder import RunFolder, load_run
from quant.tensors import read_tensors
from quant.training.config import TrainConfig
from quant.training.train import resume
from tests.training import tiny

SCHEME = Scheme(photos=4, keep_float=("backbone.stem",))
TIME = "images_per_second"  # the one figure of a training that may differ


def silent() -> Console:
    return Console(file=io.StringIO())


def config(data: Path, **changes: Any) -> TrainConfig:
    return tiny.make_config(data, **{"epochs": 2, "learning_rate": 1e-4, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def trained(float_run: Path, photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished QAT."""
    out = tmp_path_factory.mktemp("qat") / "run"
    before = contents(float_run)
    best = train_quantised(float_run, out, config(photo_set), SCHEME)
    assert best == load_run(out)[1]["AP"]
    assert contents(float_run) == before
    return out


@pytest.fixture(scope="module")
def ptq(float_run: Path, photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ptq") / "run"
    before = contents(float_run)
    best = calibrate_only(float_run, out, photo_set, SCHEME, silent())
    assert best == load_run(out)[1]["AP"]
    assert contents(float_run) == before
    return out


def test_what_a_qat_leaves_behind(trained: Path, photo_set: Path) -> None:
    assert contents(trained).keys() == {
        "model.json",
        "training.json",
        "best.safetensors",
        "checkpoint.safetensors",
        "metrics.csv",
        "curves.png",
    }
    with RunFolder(trained).metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["loss"]) > 0 and 0 <= float(row["AP"]) <= 1 for row in rows)
    assert read_json(RunFolder(trained).model)["int8"] == json.loads(json.dumps(SCHEME.to_dict()))
    assert load_run(trained)[1]["images"] == 3


def test_what_a_calibration_leaves_behind(ptq: Path, photo_set: Path) -> None:
    assert contents(ptq).keys() == {"model.json", "training.json", "best.safetensors"}
    assert read_json(RunFolder(ptq).training) == {"data": str(photo_set)}
    assert load_run(ptq)[1]["images"] == 3


def outputs(detector: Detector, photo: Path) -> tuple[np.ndarray, np.ndarray]:
    return detector.infer(detector.preprocess(read_photo(photo))[0])


def test_an_int8_run_reads_back(ptq: Path, trained: Path, model: PASSD, train: DataSet) -> None:
    expected = quantise(model, SCHEME)
    photos = spread_photos(train, SCHEME.photos)
    calibrate(expected, photos, SCHEME)
    assert load_run(ptq)[0].scheme == load_run(trained)[0].scheme == SCHEME
    wanted = outputs(Detector.from_engine(TorchEngine.of(expected)), photos[0])
    for found, mine in zip(outputs(Detector(ptq), photos[0]), wanted, strict=True):
        np.testing.assert_array_equal(found, mine)
        assert len(np.unique(found)) > 100


@pytest.mark.parametrize("kind", ["trained", "ptq"])
def test_an_int8_run_says_so(kind: str, request: pytest.FixtureRequest) -> None:
    assert Detector(request.getfixturevalue(kind)).info.precision == "int8"


def test_calibration_is_what_training_starts_from(trained: Path, ptq: Path) -> None:
    """Ranges stay as calibrated, weights move."""
    before = read_tensors(ptq / "best.safetensors")[0]
    checkpoint = read_tensors(RunFolder(trained).checkpoint)[0]
    after = {name: checkpoint[f"model.{name}"] for name in before}
    grids = [name for name in before if name.endswith((".output.scale", ".output.zero_point"))]
    assert len(grids) == 2 * 42  # 39 convolutions and 3 sums
    assert all(torch.equal(before[name], after[name]) for name in grids)
    weights = [name for name in before if name.endswith(".weight")]
    assert all(not torch.equal(before[name], after[name]) for name in weights)


def test_a_training_that_only_harms_leaves_the_calibrated_model(
    float_run: Path, ptq: Path, photo_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter((0.5, 0.4, 0.3))
    evaluate = trainer.evaluate
    monkeypatch.setattr(
        trainer, "evaluate", lambda *arguments: {**evaluate(*arguments), "AP": next(figures)}
    )
    out = tmp_path / "run"
    assert train_quantised(float_run, out, config(photo_set), SCHEME) == 0.5
    assert load_run(out)[1]["epoch"] == 0
    kept, calibrated = (read_tensors(run / "best.safetensors")[0] for run in (out, ptq))
    assert kept.keys() == calibrated.keys()
    assert all(torch.equal(kept[name], calibrated[name]) for name in kept)


class Interrupted(Exception):
    """Stands in for a killed process: nothing catches it."""


def interrupt(monkeypatch: pytest.MonkeyPatch, measurement: int) -> None:
    """Stop the training when it measures for the given time, before that epoch is saved."""
    evaluate, count = trainer.evaluate, 0

    def stopped(*arguments: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        if count == measurement:
            raise Interrupted
        return evaluate(*arguments)

    monkeypatch.setattr(trainer, "evaluate", stopped)


@pytest.mark.parametrize(
    ("measurement", "save_seconds"),
    [(1, 1e9), (2, 0.0)],
    ids=["before the first save", "in the middle of an epoch"],
)
def test_an_interrupted_qat_ends_where_an_undisturbed_one_ends(
    measurement: int,
    save_seconds: float,
    trained: Path,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt(patch, measurement)
        with pytest.raises(Interrupted):
            train_quantised(float_run, out, config(photo_set, save_seconds=save_seconds), SCHEME)
    resume(out)
    assert contents(out).keys() == contents(trained).keys()
    for name in ("best.safetensors", "model.json"):
        assert contents(out)[name] == contents(trained)[name], name
    expected, _ = read_tensors(trained / "checkpoint.safetensors")
    found, header = read_tensors(out / "checkpoint.safetensors")
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []
    assert [row["epoch"] for row in json.loads(header["state"])["history"]] == [1, 2]


def test_resuming_a_finished_qat_changes_nothing(trained: Path) -> None:
    before = contents(trained)
    assert resume(trained) == load_run(trained)[1]["AP"]
    assert contents(trained) == before


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without_weights(run: RunFolder) -> None:
    run.best.unlink()


def hardly_trained(run: RunFolder) -> None:
    run.write_model(run.read_model()[0], {"AP": 0.011})


def never_measured(run: RunFolder) -> None:
    run.write_model(run.read_model()[0], {})


def no_run(run: RunFolder) -> None:
    run.model.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_weights, "no trained weights yet; quantisation from random weights stays at 0 AP"),
        (hardly_trained, "AP 0.011 is no better than random weights"),
        (never_measured, "AP 0.000 is no better than random weights"),
        (no_run, "no run folder (model.json is missing)"),
    ],
)
@pytest.mark.parametrize("how", ["qat", "ptq"])
def test_runs_that_are_refused(
    spoil: Callable[[RunFolder], None],
    message: str,
    how: str,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(float_run, source)
    spoil(RunFolder(source))
    line = refused(starter(how, source, out, photo_set))
    assert line.startswith(f"{source}: ")
    assert message in line
    assert not out.exists()


def starter(how: str, source: Path, out: Path, data: Path) -> Callable[[], object]:
    if how == "qat":
        return lambda: train_quantised(source, out, config(data), SCHEME)
    return lambda: calibrate_only(source, out, data, SCHEME, silent())


@pytest.mark.parametrize("how", ["qat", "ptq"])
def test_an_int8_run_is_not_quantised_again(
    how: str, ptq: Path, photo_set: Path, tmp_path: Path
) -> None:
    line = refused(starter(how, ptq, tmp_path / "out", photo_set))
    assert line == f"{ptq} is quantised already; start from the float run"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["qat", "ptq"])
def test_a_run_is_not_written_over(
    how: str, float_run: Path, trained: Path, photo_set: Path
) -> None:
    before = contents(trained)
    line = refused(starter(how, float_run, trained, photo_set))
    assert line.startswith(f"{trained}: holds a run already; go on with --resume or name another")
    assert contents(trained) == before


def rename_class(data: Path) -> None:
    for split in ("train", "val"):
        change(data, split, lambda document: document["categories"][1].update(name="lion"))


def other_sizes(data: Path) -> None:
    change(data, "val", lambda document: document["images"][0].update(width=5))


def no_photos(data: Path) -> None:
    change(data, "train", lambda document: document.update(images=[], annotations=[]))


def no_photos_to_measure_on(data: Path) -> None:
    change(data, "val", lambda document: document.update(images=[], annotations=[]))


def damaged_photo(data: Path) -> None:
    (data / "images" / "train3.png").write_bytes(b"no photo")


def change(data: Path, split: str, edit: Callable[[dict[str, Any]], object]) -> None:
    path = data / f"{split}.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (rename_class, ["classes cat, lion, cup", "was trained for cat, person, cup"]),
        (other_sizes, ["data val", "another size than their annotation"]),
        (no_photos, ["data train", "no photos"]),
        (no_photos_to_measure_on, ["data val", "no photos"]),
        (damaged_photo, ["train3.png", "not a picture"]),
    ],
)
@pytest.mark.parametrize("how", ["qat", "ptq"])
def test_data_that_is_refused(
    spoil: Callable[[Path], None],
    words: list[str],
    how: str,
    float_run: Path,
    photo_set: Path,
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(photo_set, data)
    spoil(data)
    line = refused(starter(how, float_run, out, data))
    assert [word for word in words if word not in line] == []
    assert not out.exists()


def test_a_calibration_cannot_be_resumed(ptq: Path) -> None:
    assert refused(lambda: resume(ptq)).startswith(f"{ptq}: calibrated only")
