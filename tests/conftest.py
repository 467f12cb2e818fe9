"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings
from rich.console import Console
from skimage import data

# What a machine does beside the tests is no property of the code.
settings.register_profile("without times", deadline=None)
settings.load_profile("without times")


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(300, 451, 3) uint8 BGR: a cat."""
    return np.ascontiguousarray(data.chelsea()[..., ::-1])


@pytest.fixture(scope="session")
def photo_file(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cat as a .png."""
    path = tmp_path_factory.mktemp("photo") / "cat.png"
    cv2.imwrite(str(path), photo)
    return path


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with random weights, 128 px."""
    from tests.export.conftest import make_run

    return make_run(tmp_path_factory.mktemp("small_run"), Path("no data"))


@pytest.fixture(scope="session")
def small_onnx(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as an .onnx file."""
    from quant.engine import model_info
    from quant.export.formats import ONNX
    from quant.run_folder import load_run

    model, figures = load_run(small_run)
    path = tmp_path_factory.mktemp("small_onnx") / "small.onnx"
    path.write_bytes(ONNX.write(model, model_info(model, figures)))
    return path


@pytest.fixture(scope="session")
def small_bundle(
    small_onnx: Path, photo_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same model, compiled for this machine."""
    pytest.importorskip("tvm")
    from targets.compile import CompileOptions, compile_model
    from targets.table import NATIVE, native_board

    path = tmp_path_factory.mktemp("small_bundle") / "small.passd"
    options = CompileOptions(small_onnx, path, native_board().kind, NATIVE, photos=photo_file)
    compile_model(options, Console(quiet=True))
    return path


@pytest.fixture(scope="session")
def small_tflite(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a .tflite file; here because its conversion takes a while."""
    pytest.importorskip("litert_torch")
    from quant.engine import model_info
    from quant.export.tflite import to_tflite
    from quant.run_folder import load_run

    model, figures = load_run(small_run)
    path = tmp_path_factory.mktemp("small_tflite") / "small.tflite"
    path.write_bytes(to_tflite(model, model_info(model, figures)))
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration everything is installed, so a skipped test is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
