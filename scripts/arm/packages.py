"""Python packages for an ARM board, installed into a folder of this machine.

    .venv/bin/python scripts/arm/packages.py FOLDER PYTHON

FOLDER gets what the emulated Python of version PYTHON (3.11, ...) needs: what edge-passd and its
engines for ARM depend on, in the versions of constraints.txt. TVM's runtime for ARM comes into the
user's cache.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console

from edge_passd.errors import BadInput
from targets.runtime_libraries import pip_platforms, runtime_libraries

MACHINE = "aarch64"
ENGINES = ("onnxruntime", "tflite")
PINS = Path(__file__).parents[2] / "constraints.txt"


def install(folder: Path, requirements: Iterable[str], python: str) -> None:
    """Install wheels for Python `python` on an ARM board into `folder`, dependencies included.

    Raises BadInput when pip fails, which has said why on stderr.
    """
    pins = _that_apply(PINS.read_text(encoding="utf-8").splitlines(), python)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join({*pins, *windowless(pins)}))
        constraints.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-warn-conflicts", "--no-compile", "--only-binary=:all:"]
        pip += ["--implementation=cp", f"--python-version={python}", *pip_platforms(MACHINE)]
        pip += [f"--target={folder}", f"--constraint={constraints.name}"]
        if subprocess.run([*pip, *requirements], stdin=subprocess.DEVNULL).returncode:
            raise BadInput(f"pip cannot install the packages for ARM into {folder}; see above")


def dependencies(extras: Iterable[str], python: str) -> list[str]:
    """What edge-passd with `extras` requires on an ARM board."""
    return _that_apply(metadata.requires("edge-passd") or [], python, extras)


def windowless(requirements: Iterable[str]) -> list[str]:
    """The same with the OpenCV that has no windows and so needs no libraries of a desktop."""
    return [each.replace("opencv-python", "opencv-python-headless") for each in requirements]


def _that_apply(lines: Iterable[str], python: str, extras: Iterable[str] = ()) -> list[str]:
    """Of requirements with markers, those for the board, without the markers.

    pip itself would judge markers by the Python that runs it.
    """
    board = {"python_version": python, "platform_machine": MACHINE, "sys_platform": "linux"}
    chosen = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        marker, requirement.marker = requirement.marker, None
        if marker is None or any(marker.evaluate({**board, "extra": e}) for e in ("", *extras)):
            chosen.append(str(requirement))
    return chosen


def main() -> None:
    folder, python = sys.argv[1:]
    try:
        install(Path(folder), windowless(dependencies(ENGINES, python)), python)
        runtime_libraries(MACHINE, Console(stderr=True))
    except BadInput as error:
        print(f"scripts/setup_arm: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
