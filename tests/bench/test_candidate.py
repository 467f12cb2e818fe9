"""Benchmarks of detectors that are none of edge-passd's: they come out of the same code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edge_passd.bench.artefact import Candidate
from edge_passd.bench.bench import BenchOptions, bench
from edge_passd.bench.row import parse_row, row_text
from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from edge_passd.samples import DataSet
from tests.bench.conftest import ANIMALS, CAT_BOX, SHORT


class Stranger:
    """Finds the cat of the first photo everywhere; three outputs pass between its stages."""

    engine, model_sha256 = "hand", "0" * 64
    info = ModelInfo("Stranger", ANIMALS, 96, precision="fp16", training={"data": "COCO"})
    classes = info.classes

    def __init__(self, threads: int | None) -> None:
        self.threads, self.stages = threads, list[str]()

    def preprocess(self, image: np.ndarray) -> tuple[str, tuple[int, ...]]:
        self.stages.append("pre")
        return "tensor", image.shape

    def infer(self, tensor: str) -> tuple[np.ndarray, ...]:
        self.stages.append("infer")
        assert tensor == "tensor"
        score, label = np.array([0.9], np.float32), np.array([ANIMALS.index("cat")])
        return np.array([CAT_BOX], np.float32), score, label

    def postprocess(
        self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, shape: tuple[int, ...]
    ) -> Detections:
        self.stages.append("post")
        assert len(shape) == 3
        return Detections(boxes, scores, labels, self.classes)

    def detect(self, image: np.ndarray) -> Detections:
        tensor, shape = self.preprocess(image)
        boxes, scores, labels = self.infer(tensor)
        return self.postprocess(boxes, scores, labels, shape)


def run(data: DataSet | None = None, **options: Any) -> dict[str, Any]:
    given = replace(BenchOptions(threads=3, protocol=SHORT), **options)
    row = bench(given, data, Console(file=io.StringIO()))
    assert parse_row(row_text(row), "row") == json.loads(row_text(row))
    return row


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "stranger.bin"
    path.write_bytes(b"weights")
    return path


def test_its_row_is_one_like_any_other(weights: Path, cat_data: DataSet) -> None:
    opened: list[Stranger] = []

    def open_it(threads: int | None) -> Stranger:
        opened.append(Stranger(threads))
        return opened[-1]

    row = run(cat_data, model=Candidate(weights, open_it, "cv2"))
    (detector,) = opened
    assert detector.threads == row["threads"] == 3
    assert detector.stages[:6] == ["pre", "infer", "post"] * 2
    assert (row["model"], row["file"], row["model_bytes"]) == ("Stranger", "stranger.bin", 7)
    assert (row["engine"], row["precision"]) == ("hand", "fp16")
    assert (row["model_sha256"], row["input_size"]) == ("0" * 64, 96)
    assert row["training"] == {"data": "COCO"}
    assert row["versions"]["hand"] == row["versions"]["opencv"]
    assert row["measured"]["iterations"] == 4
    # The upright cat and the mirrored one, and a box in a photo without any.
    assert row["accuracy"]["images"] == 3
    assert 0 < row["accuracy"]["AP50"] <= 1


@pytest.mark.parametrize("first", [True, False])
def test_in_turn_with_one_of_ours(
    weights: Path, cat_data: DataSet, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_passd.bench import against
    from edge_passd.detector import default_model

    monkeypatch.setattr(against, "ROUNDS", 2)
    monkeypatch.setattr(against, "BURST", 1)
    stranger: Any = Candidate(weights, Stranger, name="Stranger by hand")
    pair = (stranger, default_model()) if first else (default_model(), stranger)
    row = run(cat_data, model=pair[0], against=pair[1])
    files = [row["file"], row["against"]["file"]]
    assert files == [default_model().name, "Stranger by hand"][:: -1 if first else 1]
    assert (row["against"]["ratio"]["value"] < 1) == first
    assert row["against"]["AP_difference"]["value"] == pytest.approx(
        row["accuracy"]["AP"] - row["against"]["accuracy"]["AP"]
    )


def test_what_it_cannot_do_is_said(weights: Path, cat_data: DataSet) -> None:
    def broken(threads: int | None) -> Stranger:
        raise BadInput("no such library")

    others = replace(cat_data, classes=("a", "b", "c", "d", "e"))
    cases: list[tuple[Callable[[int | None], Stranger], DataSet, str]] = [
        (broken, cat_data, "no such library"),
        (Stranger, others, "must be the same, in the same order"),
    ]
    for opener, data, words in cases:
        with pytest.raises(BadInput, match=words):
            run(data, model=Candidate(weights, opener))
