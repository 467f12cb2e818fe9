"""Builds `fake_driver.c`, and libraries of kernels for it, and says how a process gets them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
# What drivers differ in: no graphs at all, and each way to make one.
RELEASES = (9020, 10020, 11000, 12060)


@cache
def build(folder: Path, release: int = RELEASES[-1]) -> Path:
    """A new folder within `folder` with a libcuda.so.1 of that CUDA release, 12060 for 12.6."""
    made = folder / str(release)
    made.mkdir(exist_ok=True)
    shared_library(HERE / "fake_driver.c", made / "libcuda.so.1", f"-DRELEASE={release}")
    return made


def shared_library(source: Path, library: Path, *flags: str) -> Path:
    """C compiled for this machine; a warning is an error."""
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", *flags]
    subprocess.run([*command, "-o", library, source, "-ldl"], check=True)
    return library


def environment(folder: Path, /, **settings: object) -> dict[str, str]:
    """Environment variables with which a process finds the driver in that folder.

    settings: see `fake_driver.c`, without FAKE_CUDA_ and in small letters.
    """
    steered = {f"FAKE_CUDA_{name.upper()}": str(value) for name, value in settings.items()}
    return {"LD_LIBRARY_PATH": str(folder), **steered}
