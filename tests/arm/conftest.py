"""The emulated ARM system as fixtures; every test here needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from arm import emulator
from edge_passd.detector import default_model

CrossCompile = Callable[..., Path]
Bundles = Callable[[str, str], Path]


@pytest.fixture(scope="session", autouse=True)
def _arm_system() -> None:
    if reason := emulator.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def _counter() -> None:
    if reason := emulator.cannot_count():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def cross_compile(tmp_path_factory: pytest.TempPathFactory) -> CrossCompile:
    """C source to an ARM program, or with flags "-shared" and "-fPIC" to a library."""

    def compile_(source: str, *flags: str) -> Path:
        folder = tmp_path_factory.mktemp("cross")
        (folder / "source.c").write_text(source)
        command = ["aarch64-linux-gnu-g++", "-xc", "-O1", *flags, "-o", "output", "source.c"]
        subprocess.run(command, check=True, cwd=folder)
        return folder / "output"

    return compile_


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """.onnx: "shipped", int8 at 320 px, and "float" with random weights, small."""
    from bench.models import random_model

    folder = tmp_path_factory.mktemp("models")
    return {"shipped": default_model(), "float": random_model(3, "fp32", 128, folder)}


@pytest.fixture(scope="session")
def bundles(
    models: dict[str, Path], photo_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundles:
    """The bundle of one of `models` for a board of target arm, or for "native", this machine."""
    from targets.compile import CompileOptions, compile_model

    @cache
    def bundle(model: str, board: str) -> Path:
        path = tmp_path_factory.mktemp("bundles") / f"{model}-{board}.passd"
        target = "x86" if board == "native" else "arm"
        options = CompileOptions(models[model], path, target, board, photos=photo_file)
        compile_model(options, Console(quiet=True))
        return path

    return bundle
