"""The gate between two engines: what it lets through, and what it says of what it does not."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_passd.model_info import ModelInfo
from edge_passd.parity import EXACT_INT8_LIMITS, FLOAT_LIMITS, INT8_LIMITS, Limits, compare

SIZE = 64
BOXES = 100


class Fixed:
    """An engine that sees the same in every photo: boxes on a grid, each second one an animal."""

    name = "fixed"
    metadata = ModelInfo("fixed", ("cat", "dog"), SIZE).to_json()

    def __init__(self) -> None:
        corner = np.stack(np.divmod(np.arange(BOXES), 10), 1) * 6.0
        self.boxes = np.concatenate([corner, corner + 4], 1).astype(np.float32)[None]
        self.scores = np.full((1, BOXES, 3), 1e-3, np.float32)
        self.scores[0, ::2, 1] = 0.9

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.boxes, self.scores


def shifted(output: str, places: slice, value: float) -> Fixed:
    """The same, wrong by `value` in the first (boxes) or second (scores) column of some places."""
    engine = Fixed()
    column = {"boxes": 0, "scores": 1}[output]
    getattr(engine, output)[0, places, column] += value
    return engine


@pytest.fixture(scope="module")
def photos(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = [tmp_path_factory.mktemp("photos") / name for name in ("cat.png", "kitten.png")]
    for path in paths:
        cv2.imwrite(str(path), photo)
    return paths


ONE, ALL = slice(77, 78), slice(None)


@pytest.mark.parametrize("limits", [FLOAT_LIMITS, INT8_LIMITS, EXACT_INT8_LIMITS])
def test_equal_engines_are_equal(limits: Limits, photos: list[Path]) -> None:
    record = compare(Fixed(), Fixed(), photos, limits)
    assert record.problem is None
    assert (record.photos, record.detections, record.matched) == (2, BOXES, 1.0)
    assert record.to_dict()["boxes"] == record.to_dict()["scores"] == 0


@pytest.mark.parametrize(
    ("limits", "output", "places", "value", "words"),
    [
        (FLOAT_LIMITS, "boxes", ONE, 0.02, r"fixed: output 'boxes' differs by 0\.02 px \(limit 0"),
        (FLOAT_LIMITS, "scores", ONE, 2e-4, r"'scores' differs by 0\.0002 \(limit 0\.0001\) on ca"),
        (FLOAT_LIMITS, "boxes", ONE, np.nan, "'boxes' differs by inf px"),
        (FLOAT_LIMITS, "boxes", ONE, 0.02, r"on cat\.png, default box 77: \[42\.02, 42"),
        (FLOAT_LIMITS, "boxes", ALL, 0.008, r"'boxes' differs by 0\.002 px on average \(limit 0"),
        (FLOAT_LIMITS, "scores", ALL, 9e-5, r"'scores' differs by 3e-05 on average \(limit 1e-05"),
        (EXACT_INT8_LIMITS, "boxes", ONE, 0.06, r"differs by 0\.06 px \(limit 0\.05\)"),
        (EXACT_INT8_LIMITS, "boxes", ALL, 0.001, r"differs by 0\.00025 px on average"),
        (EXACT_INT8_LIMITS, "scores", ONE, 2e-3, r"differs by 0\.002 \(limit 0\.001\)"),
        (EXACT_INT8_LIMITS, "scores", ALL, 1e-5, r"differs by 3\.3.e-06 on average"),
        (INT8_LIMITS, "boxes", ALL, 3, r"only 0\.00% of the detections after NMS are the same"),
    ],
)
def test_what_differs_is_named(
    limits: Limits, output: str, places: slice, value: float, words: str, photos: list[Path]
) -> None:
    problem = compare(Fixed(), shifted(output, places, value), photos, limits).problem
    assert problem is not None
    assert re.search(words, problem), problem


@pytest.mark.parametrize(
    ("limits", "output", "places", "value"),
    [
        (FLOAT_LIMITS, "boxes", ONE, 0.009),
        (FLOAT_LIMITS, "scores", ONE, 9e-5),
        (EXACT_INT8_LIMITS, "boxes", ONE, 0.03),
        (EXACT_INT8_LIMITS, "scores", ONE, 2e-4),
        (INT8_LIMITS, "boxes", ONE, 3),
    ],
)
def test_what_is_within_the_limits_passes(
    limits: Limits, output: str, places: slice, value: float, photos: list[Path]
) -> None:
    record = compare(Fixed(), shifted(output, places, value), photos, limits)
    assert record.problem is None
    assert getattr(record, output).error == pytest.approx(value, rel=1e-2)
    assert getattr(record, output).index == 77


def test_progress_is_told_after_each_photo(photos: list[Path]) -> None:
    told: list[int] = []
    compare(Fixed(), Fixed(), photos, FLOAT_LIMITS, lambda: told.append(1))
    assert len(told) == len(photos)
