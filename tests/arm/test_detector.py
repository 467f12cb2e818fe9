"""The project itself, as it is, on an ARM system."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from arm.emulator import CPUS, run_python
from edge_passd.detector import Detector
from tests.arm.guest import infer

SURE = 0.3  # a score above which rounding adds and removes no detection


def test_the_command_line_finds_the_same_with_onnxruntime(photo_file: Path) -> None:
    arguments: list[str | Path] = ["-m", "edge_passd", "run", "--source", photo_file]
    (line,) = run_python([*arguments, "--json", "-", "--conf", str(SURE)]).stdout.splitlines()
    (cat,) = json.loads(line)["detections"]
    (wanted,) = Detector().detect(photo_file).filter(SURE).to_dict()
    assert cat["label"] == wanted["label"] == "cat"
    assert cat["score"] == pytest.approx(wanted["score"], abs=0.02)
    # Its kernels for ARM round otherwise than those for x86: an int8 step is a pixel in places.
    assert cat["box"] == pytest.approx(wanted["box"], abs=2)


def test_a_tflite_model_computes_the_same(small_tflite: Path, photo: np.ndarray) -> None:
    detector = Detector(small_tflite)
    image, _ = detector.preprocess(photo)
    wanted_boxes, wanted_scores = detector.infer(image)
    boxes, scores = infer(small_tflite, image, CPUS[0])
    np.testing.assert_allclose(boxes[0], wanted_boxes, atol=1e-3)
    np.testing.assert_allclose(scores[0], wanted_scores, atol=1e-5)


def test_bad_input_is_one_line_and_status_2() -> None:
    done = run_python(["-m", "edge_passd", "run", "--source", "nowhere.jpg"], check=False)
    assert done.status == 2
    assert done.stderr == "edge-passd: no such file: nowhere.jpg; give a photo or video\n"
