"""A bundle for GPUs on an ARM system without one."""

from __future__ import annotations

from pathlib import Path

from arm.emulator import run_python
from tests.engines.toy_bundle import toy_bundle


def test_it_loads_up_to_the_driver(tmp_path: Path, photo_file: Path) -> None:
    bundle = toy_bundle(tmp_path / "toy.passd")
    arguments: list[str | Path] = ["-m", "edge_passd", "run", bundle, "--source", photo_file]
    done = run_python(arguments, check=False)
    assert (done.status, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-passd: no CUDA driver (libcuda.so.1: cannot open shared object")
    assert "on a Jetson install JetPack" in line
