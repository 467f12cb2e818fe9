"""The shipped model's demo on an emulated processor without VNNI, through every engine there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edge_passd.bench.photos import CAT
from edge_passd.boxes import iou
from edge_passd.bundle.machine import this_machine
from edge_passd.detections import Detections
from edge_passd.detector import Detector, default_model
from tests.runtime.test_saturation import WIDE, with_weights

QEMU = "qemu-x86_64"
CPU = "Haswell"  # AVX2, and no dot product of bytes
MISSING = f"no {QEMU} here; scripts/setup_arm installs it"

pytestmark = pytest.mark.skipif(
    this_machine().machine != "x86_64", reason="an x86 processor is emulated on one"
)


@pytest.fixture(scope="module", autouse=True)
def _emulator() -> None:
    if shutil.which(QEMU) is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)


def edge_passd(
    *arguments: str, cache: Path, emulated: bool = True
) -> subprocess.CompletedProcess[str]:
    """The command line on the emulated processor, or on this one with oneDNN kept to AVX2."""
    # The interpreter itself: QEMU does not follow the link to it in a virtual environment.
    python = [os.path.realpath(sys.executable), "-m", "edge_passd.cli.main"]
    path = os.pathsep.join(filter(None, sys.path))
    limit = {} if emulated else {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    return subprocess.run(
        [*([QEMU, "-cpu", CPU] if emulated else []), *python, *arguments],
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(cache), **limit},
        capture_output=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each engine runs of the shipped model."""
    from targets.compile import CompileOptions, compile_model

    bundle = tmp_path_factory.mktemp("bundles") / "shipped.passd"
    options = CompileOptions(default_model(), bundle, "x86", "x86-64-v3", photos=CAT)
    compile_model(options, Console(quiet=True))
    return {"onnxruntime": default_model(), "openvino": default_model(), "tvm": bundle}


def seen(record: dict[str, list]) -> Detections:
    found = record["detections"]
    classes = Detector().classes
    return Detections(
        np.array([each["box"] for each in found], np.float32).reshape(-1, 4),
        np.array([each["score"] for each in found], np.float32),
        np.array([classes.index(each["label"]) for each in found], np.int64),
        classes,
    )


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "tvm"])
def test_it_finds_what_it_finds_here(engine: str, files: dict[str, Path], tmp_path: Path) -> None:
    here = Detector(files[engine], engine).detect(CAT).filter(0.4)
    json_file = tmp_path / "found.jsonl"
    done = edge_passd(
        "run", str(files[engine]), "--engine", engine, "--source", str(CAT),
        "--json", str(json_file), cache=tmp_path,
        # QEMU 7.2 computes OpenVINO's float head wrong, of float models too.
        emulated=engine != "openvino",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = seen(json.loads(json_file.read_text()))
    assert len(here) == len(there) > 0
    assert there.names == here.names
    assert np.diag(iou(here.boxes, there.boxes)).min() > 0.95
    np.testing.assert_allclose(there.scores, here.scores, atol=0.02)


def test_a_full_range_model_is_refused_there(tmp_path: Path) -> None:
    """Whatever /proc/cpuinfo says: it shows the processor that emulates."""
    wide = with_weights(tmp_path / "wide.onnx", WIDE)
    done = edge_passd("run", str(wide), "--source", str(CAT), cache=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "onnxruntime computes wrong boxes on this processor" in done.stderr
    assert "cat" not in done.stdout
