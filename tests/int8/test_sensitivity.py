"""The ranking: its rows, going on after an interruption, the table and the picture."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.evaluation import evaluate
from edge_passd.files import read_json
from edge_passd.samples import DataSet
from quant.data.reader import spread_photos
from quant.engine import TorchEngine
from quant.int8 import sensitivity
from quant.int8.calibrate import calibrate
from quant.int8.convert import layer_names, quantise
from quant.int8.scheme import Scheme
from quant.int8.sensitivity import ALL, NONE, group_of, rank
from quant.model import PASSD
from quant.run_folder import RunFolder, load_run
from quant.tensors import write_tensors
from tests.training import tiny

# With the blocks in float there are eight groups to measure.
SCHEME = Scheme(photos=2, keep_float=("backbone.blocks",))
GROUPS = {
    "backbone.stem", "pyramid.extra.0", "pyramid.laterals", "pyramid.merges",
    "pyramid.smoothing", "propose.objectness", "propose.offsets", "attend.projection",
}  # fmt: skip
PIXELS = np.random.default_rng(0).uniform(0, 255, (1, 3, tiny.SIZE, tiny.SIZE)).astype(np.float32)


class Interrupted(Exception):
    """Stands in for a killed process."""


def points(detector: Detector) -> float:
    """Stands in for AP, of which a random model has none: it tells models apart."""
    return float(detector.infer(PIXELS)[1][:, 1].astype(np.float64).mean())


class Measuring:
    """Takes the place of `evaluate`; counts, and stops before number `limit`."""

    def __init__(self, limit: int | None = None) -> None:
        self.count, self.limit = 0, limit

    def __call__(self, detector: Detector, *arguments: Any) -> dict[str, Any]:
        if self.count == self.limit:
            raise Interrupted
        self.count += 1
        return {**evaluate(detector, *arguments), "AP": points(detector)}


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Measuring:
    stand_in = Measuring()
    monkeypatch.setattr(sensitivity, "evaluate", stand_in)
    return stand_in


def ranked(source: Path, out: Path, data: Path, scheme: Scheme = SCHEME) -> dict[str, Any]:
    return rank(source, out, data, scheme, Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def interrupted(float_run: Path, photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the figures of three models."""
    out = tmp_path_factory.mktemp("sensitivity") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "evaluate", Measuring(limit=3))
        with pytest.raises(Interrupted):
            ranked(float_run, out, photo_set)
    return out


@pytest.fixture
def begun(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(interrupted, tmp_path / "out"))


def test_what_is_measured_stays_when_it_is_interrupted(interrupted: Path) -> None:
    assert [path.name for path in interrupted.iterdir()] == ["sensitivity.json"]
    rows = read_json(interrupted / "sensitivity.json")["rows"]
    assert [row["group"] for row in rows] == [NONE, ALL, "backbone.stem"]


def test_a_ranking(
    begun: Path,
    float_run: Path,
    photo_set: Path,
    model: PASSD,
    train: DataSet,
    measuring: Measuring,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = ranked(float_run, begun, photo_set)
    assert measuring.count == len(GROUPS) + 2 - 3  # what was measured before is not again
    assert read_json(begun / "sensitivity.json") == report
    rows = {row["group"]: row for row in report["rows"]}
    assert rows.keys() == GROUPS | {NONE, ALL}
    assert len(report["rows"]) == len(rows)
    figures = [row["AP"] for row in report["rows"]]
    assert figures == sorted(figures)
    assert len(set(figures)) == len(figures)  # each is of a model of its own

    float_points = points(Detector.from_engine(TorchEngine.of(model)))
    assert rows[NONE]["AP"] == pytest.approx(float_points, rel=1e-6)
    # Read anew: the engine changed the memory format of the other, and with it the last bits.
    whole = quantise(load_run(float_run)[0], SCHEME)
    calibrate(whole, spread_photos(train, SCHEME.photos), SCHEME)
    int8_points = points(Detector.from_engine(TorchEngine.of(whole)))
    assert rows[ALL]["AP"] == pytest.approx(int8_points, rel=1e-5)
    assert abs(int8_points / float_points - 1) > 1e-4

    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    for name, row in rows.items():
        (line,) = (words for words in shown if name in words and len(words) > 5)
        assert f"{100 * (rows[NONE]['AP'] - row['AP']):+.2f}" in line
    picture = cv2.imread(str(begun / "sensitivity.png"))
    assert picture is not None
    assert 300 < picture.shape[0] < 1500
    assert 600 < picture.shape[1] < 1500
    assert picture.std() > 10

    again = ranked(float_run, begun, photo_set)
    assert measuring.count == len(GROUPS) + 2 - 3
    assert again == report
    assert sorted(path.name for path in begun.iterdir()) == ["sensitivity.json", "sensitivity.png"]


def test_one_group_computes_as_it_does_in_the_whole(
    model: PASSD, float_run: Path, photo_set: Path, tmp_path: Path, measuring: Measuring
) -> None:
    """All but one layer in float: that layer alone and the whole are the same model."""
    others = tuple(name for name in layer_names(model) if name != "propose.offsets")
    report = ranked(float_run, tmp_path, photo_set, Scheme(photos=2, keep_float=others))
    rows = {row["group"]: row["AP"] for row in report["rows"]}
    assert rows.keys() == {NONE, ALL, "propose.offsets"}
    assert rows["propose.offsets"] == rows[ALL] != rows[NONE]


def other_weights(run: RunFolder, model: PASSD) -> Scheme:
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    weights["attend.bias"] += 0.1
    write_tensors(run.best, weights, {})
    return SCHEME


def other_scheme(run: RunFolder, model: PASSD) -> Scheme:
    return Scheme(photos=3, keep_float=SCHEME.keep_float)


@pytest.mark.parametrize("change", [other_weights, other_scheme])
def test_figures_of_another_model_are_not_mixed_in(
    change: Any,
    begun: Path,
    float_run: Path,
    photo_set: Path,
    model: PASSD,
    tmp_path: Path,
    measuring: Measuring,
) -> None:
    source = Path(shutil.copytree(float_run, tmp_path / "source"))
    scheme = change(RunFolder(source), model)
    before = (begun / "sensitivity.json").read_bytes()
    with pytest.raises(BadInput, match=r"sensitivity\.json: of other weights, data or options"):
        ranked(source, begun, photo_set, scheme)
    assert measuring.count == 0
    assert (begun / "sensitivity.json").read_bytes() == before


@pytest.mark.parametrize(
    ("layer", "group"),
    [
        ("backbone.stem", "backbone.stem"),
        ("backbone.blocks.0.depthwise", "backbone.blocks.0"),
        ("backbone.blocks.12.pointwise", "backbone.blocks.12"),
        ("pyramid.laterals.3", "pyramid.laterals"),
        ("attend.projection", "attend.projection"),
    ],
)
def test_groups(layer: str, group: str) -> None:
    assert group_of(layer) == group
    assert Scheme(keep_float=(group,)).keeps_float(layer)  # so --keep-float takes it
