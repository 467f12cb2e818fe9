"""How many bytes edge-passd takes on an ARM board, by engine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from arm.packages import ENGINES, MACHINE, dependencies, install
from targets.runtime_libraries import runtime_libraries

_OWN = ("edge_passd", "quant", "targets")


def board_sizes(python: str = "3.11") -> dict[str, int]:
    """Bytes of what `pip install` brings to a board, for each engine, unpacked; and of the runtime.

    A bundle needs no engine beside edge-passd itself: it brings that runtime along. Downloads the
    packages; raises BadInput when that fails.
    """
    installations = {"edge-passd": ()} | {f"edge-passd[{name}]": (name,) for name in ENGINES}
    sizes = {name: _installed(extras, python) for name, extras in installations.items()}
    runtime = sum(map(len, runtime_libraries(MACHINE).values()))
    return {**sizes, "TVM's runtime, within a bundle": runtime}


def _installed(extras: Iterable[str], python: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), dependencies(extras, python), python)
        return _bytes(Path(folder)) + sum(map(_bytes, _own_folders()))


def _own_folders() -> Iterable[Path]:
    for name in _OWN:
        spec = find_spec(name)
        if spec and spec.origin:
            yield Path(spec.origin).parent


def _bytes(folder: Path) -> int:
    """Of all files below a folder, without the bytecode that Python makes of them."""
    files = (each for each in folder.rglob("*") if each.is_file() and each.suffix != ".pyc")
    return sum(each.stat().st_size for each in files)
