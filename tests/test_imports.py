from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import edge_passd

ROOT = Path(edge_passd.__file__).parents[1]
HEAVY = {"torch", "tvm", "onnx", "onnxruntime", "openvino", "ai_edge_litert", "litert_torch"}

# Prints the seconds that the import took and the top-level packages it loaded.
PROBE = """
import json, sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def probe(module: str) -> tuple[float, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(module=module)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, loaded = json.loads(done.stdout)
    return seconds, set(loaded)


@pytest.mark.parametrize("module", ["edge_passd", "edge_passd.board", "edge_passd.cli.main"])
def test_importing_is_quick_and_loads_no_heavy_library(module: str) -> None:
    seconds, loaded = min(probe(module) for _ in range(3))
    assert not HEAVY & loaded
    assert seconds < 0.5


def test_the_detector_loads_no_engine_before_it_has_a_model() -> None:
    assert not HEAVY & probe("edge_passd.detector")[1]


def test_the_names_of_the_package_are_there() -> None:
    assert edge_passd.Detector.__module__ == "edge_passd.detector"
    assert edge_passd.Detections.__module__ == "edge_passd.detections"
    assert {"Detector", "Detections", "__version__"} <= set(dir(edge_passd))
    with pytest.raises(AttributeError, match="Detektor"):
        edge_passd.Detektor  # noqa: B018
