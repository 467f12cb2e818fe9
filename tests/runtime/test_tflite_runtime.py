"""A .tflite file on a board that has tflite-runtime, in an environment as it is there: NumPy 1."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge_passd
from edge_passd.detector import Detector
from edge_passd.tflite_file import pack, read

ROOT = Path(edge_passd.__file__).parents[1]
VERSIONS = ("tflite-runtime==2.14.0", "numpy==1.26.4", "opencv-python==4.11.0.86")


@pytest.fixture(scope="session")
def board() -> Path:
    """The folder of an environment's programs, made once and again when what it needs changes."""
    folder = ROOT / ".venv-tflite-runtime"
    project = (ROOT / "pyproject.toml").read_bytes()
    wanted = hashlib.sha256(project + "".join(VERSIONS).encode()).hexdigest()
    made = folder / "installed"
    if not made.exists() or made.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        project_and_extra = ["--editable", f"{ROOT}[tflite-runtime]"]
        subprocess.run([*install, *project_and_extra, *VERSIONS], check=True)
        made.write_text(wanted)
    return folder / "bin"


def run(board: Path, model: Path, photo: Path) -> subprocess.CompletedProcess[str]:
    command = [board / "edge-passd", "run", model, "--source", photo, "--json", "-", "--conf", "0"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def cat_file(tmp_path: Path, cat: np.ndarray) -> Path:
    path = tmp_path / "cat.png"
    cv2.imwrite(str(path), cat)
    return path


def test_it_finds_what_litert_finds(board: Path, small_tflite: Path, cat_file: Path) -> None:
    done = run(board, small_tflite, cat_file)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["detections"]
    expected = Detector(small_tflite, threads=1).detect(cat_file).to_dict()
    assert len(found) == len(expected) > 10
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    for key, tolerance in (("box", 0.05), ("score", 1e-4)):
        values = ([each[key] for each in each_list] for each_list in (found, expected))
        np.testing.assert_allclose(*values, atol=tolerance)


def test_a_damaged_file_is_one_line_there_too(
    board: Path, small_tflite: Path, cat_file: Path, tmp_path: Path
) -> None:
    """This interpreter looks at no byte before it follows it: unchecked, these files kill it."""
    content, information = read(small_tflite)
    broken = tmp_path / "broken.tflite"
    for damaged in (small_tflite.read_bytes()[:-1], content[: len(content) // 3]):
        broken.write_bytes(damaged)
        done = run(board, broken, cat_file)
        assert done.returncode == 2
        assert done.stderr.startswith("edge-passd: ")
        assert done.stderr.count("\n") == 1
    flipped = bytearray(pack(content, information))
    flipped[len(content) // 2] ^= 1
    broken.write_bytes(bytes(flipped))
    assert "its sha256 is another" in run(board, broken, cat_file).stderr
