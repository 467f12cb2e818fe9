"""The script as a user starts it, on the shipped model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_arm
from arm import emulator, packages
from arm.tables import OURS, by_operator, comparison, sizes
from tests.arm.conftest import Bundles


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, bench_arm.__file__, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def printed(bundles: Bundles, models: dict[str, Path], folder: Path) -> str:
    if reason := emulator.cannot_count():
        pytest.skip(reason)
    done = run(
        bundles("shipped", "raspberry-pi-5"), "--against", models["shipped"], "--times", "2",
        "--json", folder / "arm.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench_arm")


@pytest.fixture(scope="module")
def result(printed: str, folder: Path) -> dict[str, Any]:
    return json.loads((folder / "arm.json").read_text())


def test_each_model_is_counted(result: dict[str, Any]) -> None:
    ours, peer = result["models"]
    assert (ours["engine"], peer["engine"]) == ("tvm", "onnxruntime")
    for each in (ours, peer):
        assert (each["precision"], each["classes"], each["input_size"]) == ("int8", 6, 320)
        assert each["bytes"] > 1e6
    assert 1e8 < ours["executed"] < peer["executed"]


def test_the_operators_add_up(result: dict[str, Any]) -> None:
    ours, peer = result["models"]
    inside = sum(each["executed"] for each in ours["operators"])
    assert 0.5 * ours["executed"] < inside <= ours["executed"]
    assert len(ours["operators"]) > 40
    assert peer["operators"] == []


def test_the_dearest_operators_have_the_most_to_multiply(result: dict[str, Any]) -> None:
    operators = [each for each in result["models"][0]["operators"] if each["macs"] > 1e6]
    macs, executed = np.array([[each["macs"], each["executed"]] for each in operators]).T
    assert np.corrcoef(macs, executed)[0, 1] > 0.8


def test_the_tables_are_printed(printed: str, result: dict[str, Any]) -> None:
    assert comparison(result["models"], result["cpu"]) in printed
    assert by_operator(result["models"][0]) in printed
    assert "on the board" not in printed


def cost(engine: str, executed: int, **other: Any) -> dict[str, Any]:
    return {
        "file": f"{engine}.file", "bytes": 12_300_000, "engine": engine, "precision": "int8",
        "classes": 21, "input_size": 320, "executed": executed, "operators": [], **other,
    }  # fmt: skip


def test_the_best_of_ours_is_compared_with_each_peer_of_its_kind() -> None:
    table = comparison(
        [
            cost("onnxruntime", 400_000_000),
            cost(OURS, 300_000_000, file="slow.passd"),
            cost(OURS, 200_000_000),
            cost("tflite", 1_000_000_000, precision="fp32"),
        ],
        "cortex-a76",
    )
    *_, fp32, ours, slow, peer = table.splitlines()
    assert fp32 == "| LiteRT | fp32 | 21 | 320 | 1,000.0 |  | tflite.file | 12.3 |"
    assert ours.startswith("| edge-passd (TVM) | int8 | 21 | 320 | 200.0 |  |")
    assert slow.startswith("| edge-passd (TVM) | int8 | 21 | 320 | 300.0 |  | slow.passd |")
    assert peer.startswith("| onnxruntime | int8 | 21 | 320 | 400.0 | 0.50x |")


def test_instructions_are_shown_by_kind_and_by_operator() -> None:
    operators = [
        {"name": "stem", "kind": "convolution", "macs": 40_000_000, "executed": 10_000_000},
        {"name": "head", "kind": "convolution", "macs": 160_000_000, "executed": 20_000_000},
        {"name": "add", "kind": "merge", "macs": 0, "executed": 60_000_000},
    ]
    lines = by_operator(cost(OURS, 100_000_000, operators=operators)).splitlines()
    assert lines[4:8] == [
        "| merge | 60.00 | 60.0% |  |  |",
        "| convolution | 30.00 | 30.0% | 200.0 | 6.7 |",
        "| outside of them | 10.00 | 10.0% |  |  |",
        "| all | 100.00 | 100.0% | 200.0 | 2.0 |",
    ]
    assert [line.split(" | ")[0] for line in lines[11:]] == ["| add", "| head", "| stem"]


def test_sizes_are_in_megabytes() -> None:
    assert sizes({"edge-passd": 197_400_000}).splitlines()[-1] == "| edge-passd | 197 |"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to measure"),
        (["nowhere.passd"], "'nowhere.passd' does not exist"),
        ([bench_arm.__file__], "is no model"),
    ],
)
def test_bad_input_ends_with_one_line(arguments: list[str], says: str) -> None:
    if reason := emulator.cannot_count():
        pytest.skip(reason)
    done = run(*arguments)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.13"])
def test_a_board_needs_little(python: str) -> None:
    names = {each.partition(">")[0] for each in packages.dependencies((), python)}
    assert names == {"numpy", "opencv-python", "click", "rich"}
    with_engines = packages.dependencies(packages.ENGINES, python)
    assert {each.partition(">")[0] for each in with_engines} - names == {
        "onnxruntime",
        "ai-edge-litert",
    }
