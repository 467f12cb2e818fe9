"""The emulated ARM system as fixtures; every test here needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from arm import emulator

Compile = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def _arm_system() -> None:
    if reason := emulator.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def _counter() -> None:
    if reason := emulator.cannot_count():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def cross_compile(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """C source to an ARM program, or with flags "-shared" and "-fPIC" to a library."""
    folder = tmp_path_factory.mktemp("cross")

    def compile_(source: str, *flags: str) -> Path:
        number = len(list(folder.iterdir()))
        (folder / f"{number}.c").write_text(source)
        output = folder / f"{number}.bin"
        command: list[str | Path] = ["aarch64-linux-gnu-g++", "-xc", "-O1", *flags, "-o", output]
        subprocess.run([*command, folder / f"{number}.c"], check=True)
        return output

    return compile_


@pytest.fixture(scope="session")
def photo_file(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cat as a .png."""
    path = tmp_path_factory.mktemp("photo") / "cat.png"
    cv2.imwrite(str(path), photo)
    return path
