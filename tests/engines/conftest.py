"""The toy bundle, and drivers without a GPU to run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.toy_bundle import toy_bundle
from tests.gpu import fake_driver

ROOT = Path(__file__).parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bundle(tmp_path_factory.mktemp("toy") / "toy.passd")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run(arguments of Python..., release=, **settings)`: a process with a fake driver."""
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("toy_kernels.c")
    kernels = fake_driver.shared_library(source, folder / "toy_kernels.so")

    def run_(
        *arguments: object, release: int = fake_driver.RELEASES[-1], **settings: object
    ) -> subprocess.CompletedProcess[str]:
        found = fake_driver.environment(
            fake_driver.build(folder, release), **{"kernels": kernels, **settings}
        )
        return python(*arguments, **found)

    return run_


def python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python as a user runs it."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
