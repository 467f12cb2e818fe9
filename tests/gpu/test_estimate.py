"""The roofline estimate, and the script that prints it for a bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import estimate_gpu
from edge_passd.bundle import CudaPlan, Launch, Manifest, TargetInfo, write_bundle
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from targets.cuda import BOARDS
from targets.gpu.board import Peak
from targets.gpu.estimate import LAUNCH_SECONDS, Estimate, Work, estimate, work_of
from targets.gpu.images import build_images
from tests.gpu.kernels import SOURCE, needs_nvrtc

PEAK = Peak(bandwidth=100, fp32=1, fp16=10)
WORKS = st.lists(st.builds(Work, st.integers(0, 10**10), st.integers(0, 10**9)))


def test_a_case_by_hand() -> None:
    # 1 MB at 100 GB/s: 10 us; 100 MMAC are 0.2 GFLOP, at 10 TFLOP/s 20 us. Then 50 us and 2 us.
    work = [Work(100_000_000, 1_000_000), Work(10_000_000, 5_000_000)]
    found = estimate(work, "fp16", PEAK)
    assert found is not None
    assert (found.traffic, found.arithmetic) == (pytest.approx(60e-6), pytest.approx(22e-6))
    assert found.total == pytest.approx(20e-6 + 50e-6 + 2 * LAUNCH_SECONDS)
    assert estimate(work[:1], "fp32", PEAK) == Estimate(
        pytest.approx(10e-6), pytest.approx(200e-6), LAUNCH_SECONDS,
        pytest.approx(200e-6 + LAUNCH_SECONDS),
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_nothing_is_said_of_a_speed_that_is_not_known(precision: str) -> None:
    assert estimate([Work(1, 1)], precision, PEAK) is None


@given(WORKS)
def test_it_lies_between_perfect_overlap_and_none(work: list[Work]) -> None:
    found = estimate(work, "fp32", PEAK)
    assert found is not None
    slack = 1 + 1e-9
    assert max(found.traffic, found.arithmetic) + found.launching <= found.total * slack
    assert found.total <= (found.traffic + found.arithmetic + found.launching) * slack


@given(WORKS, st.integers(1, 10**9))
def test_a_launch_more_and_a_byte_more_take_longer(work: list[Work], more: int) -> None:
    before = estimate(work, "fp32", PEAK)
    after = estimate([*work, Work(0, more)], "fp32", PEAK)
    assert before is not None
    assert after is not None
    assert after.total > before.total


@pytest.mark.parametrize("key", ["macs", "bytes"])
@pytest.mark.parametrize("value", [None, -1, 1.5, "12", True])
def test_operators_must_say_their_work(key: str, value: object) -> None:
    operators = [{"name": "stem", "macs": 3, "bytes": 4}, {"name": "top", "macs": 1, "bytes": 2}]
    assert work_of(operators, "m.passd") == (Work(3, 4), Work(1, 2))
    operators[1][key] = value  # type: ignore[assignment]
    with pytest.raises(BadInput, match=f"^m.passd: operator 'top' does not say its {key}; compile"):
        work_of(operators, "m.passd")


def cuda_bundle(path: Path, precision: str, scale: int = 1) -> Path:
    operators = (
        {"name": "stem", "kind": "stem", "macs": 4_000_000 * scale, "bytes": 3_000_000},
        {"name": "head", "kind": "head", "macs": 6_000_000 * scale, "bytes": 1_000_000},
    )
    board = BOARDS["jetson"]
    built = build_images(SOURCE, board, ["mirror"])
    plan = CudaPlan(
        tuple(each.image for each in built), "constants.bin",
        (Launch("mirror", (1, 1, 1), (64, 1, 1), 0),) * 2, 64, boxes=3, classes=2,
    )  # fmt: skip
    manifest = Manifest(
        model=ModelInfo("m", ("cat",), 64, precision=precision),
        target=TargetInfo(
            "cuda", board.name, "nvptx64-nvidia-cuda", "any", plan.architectures, ()
        ),
        precision=precision, int8_share=None, plan=plan, parity=(), operators=operators,
        compiler={},
    )  # fmt: skip
    files = {each.image.file: each.content for each in built}
    write_bundle(path, manifest, {**files, plan.constants: bytes(64)})
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, estimate_gpu.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@needs_nvrtc
def test_the_script_prints_a_row_for_every_board_and_bundle(tmp_path: Path) -> None:
    bundles = [cuda_bundle(tmp_path / f"{each}.passd", each) for each in ("int8", "fp16", "fp32")]
    done = run(*bundles)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("An estimate, not a measurement")
    lines = [line for line in done.stdout.splitlines() if line.startswith("| jetson")]
    rows = {
        (board, precision): figures
        for board, precision, *figures in (
            [cell.strip() for cell in line.strip("|").split("|")] for line in lines
        )
    }
    assert len(lines) == len(rows) == 3 * sum(board.peak is not None for board in BOARDS.values())
    # 4 MB at 68 GB/s are 0.0588 ms; 20 MFLOP at 1.28 TFLOP/s 0.0156 ms, of which 9.4 us exceed
    # nothing: both launches wait for memory.
    assert rows["jetson-orin-nano", "fp32"] == [
        "2", "4.0", "0.02", "68", "1.28", "0.059", "0.016", "0.063"
    ]  # fmt: skip
    assert rows["jetson-orin-nano", "int8"][-1] == "0.063"
    assert rows["jetson-nano", "int8"][-4:] == ["-", "-", "-", "-"]
    assert rows["jetson-thor", "fp16"][-4:] == ["-", "-", "-", "-"]


def test_the_script_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    for arguments, words in (
        ([], "Missing argument"),
        ([tmp_path / "absent.passd"], "no such file"),
        ([__file__], "is no bundle"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
