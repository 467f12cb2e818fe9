"""Compiled bundles on the boards that they are for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arm.emulator import run_python
from edge_passd.bundle import read_bundle, write_bundle
from edge_passd.detector import Detector
from tests.arm.conftest import Bundles
from tests.arm.guest import detect, infer

PI_4, PI_5 = ("raspberry-pi-4", "cortex-a72"), ("raspberry-pi-5", "cortex-a76")
I8MM = ("aarch64-i8mm", "max")
ALL = (PI_4, PI_5, I8MM)
BOARDS = [pytest.param(*each, id=each[0]) for each in ALL]


@pytest.fixture(scope="module")
def image(bundles: Bundles, photo: np.ndarray) -> np.ndarray:
    """The cat as the shipped model's input."""
    return Detector(bundles("shipped", "native")).preprocess(photo)[0]


@pytest.fixture(scope="module")
def on_boards(bundles: Bundles, image: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Outputs of the shipped model on each board."""
    return {board: infer(bundles("shipped", board), image, cpu) for board, cpu in ALL}


@pytest.mark.parametrize(("board", "cpu"), BOARDS)
def test_a_board_finds_what_this_machine_finds(
    bundles: Bundles, photo_file: Path, board: str, cpu: str
) -> None:
    engine, found = detect(bundles("shipped", board), photo_file, cpu)
    assert engine == "tvm"
    wanted = Detector(bundles("shipped", "native")).detect(photo_file).to_dict()
    assert [each["label"] for each in found] == [each["label"] for each in wanted]
    np.testing.assert_allclose(
        [each["box"] for each in found], [each["box"] for each in wanted], atol=0.11
    )  # they are rounded to tenths


@pytest.mark.parametrize("board", [board for board, _ in ALL])
def test_int8_on_a_board_is_int8_on_this_machine(
    bundles: Bundles,
    image: np.ndarray,
    on_boards: dict[str, tuple[np.ndarray, np.ndarray]],
    board: str,
) -> None:
    wanted = Detector(bundles("shipped", "native")).infer(image)
    for found, here in zip(on_boards[board], wanted, strict=True):
        # What is left is float: exponentials and hyperbolic tangents of the same integers.
        np.testing.assert_allclose(found[0], here, rtol=1e-5, atol=1e-5)


def test_with_and_without_dot_products_it_is_the_same_to_the_last_bit(
    on_boards: dict[str, tuple[np.ndarray, np.ndarray]],
) -> None:
    for board, _ in (PI_5, I8MM):
        for without, with_ in zip(on_boards[PI_4[0]], on_boards[board], strict=True):
            np.testing.assert_array_equal(without, with_)


def test_several_threads_compute_what_one_does(
    bundles: Bundles, image: np.ndarray, on_boards: dict[str, tuple[np.ndarray, np.ndarray]]
) -> None:
    board, cpu = PI_5
    several = infer(bundles("shipped", board), image, cpu, threads=3)
    for one, found in zip(on_boards[board], several, strict=True):
        np.testing.assert_array_equal(one, found)


def test_float_is_close_to_onnxruntime(
    bundles: Bundles, models: dict[str, Path], photo: np.ndarray
) -> None:
    board, cpu = PI_4
    here = Detector(models["float"])
    image, _ = here.preprocess(photo)
    (boxes,), (scores,) = infer(bundles("float", board), image, cpu)
    wanted_boxes, wanted_scores = here.infer(image)
    np.testing.assert_allclose(boxes, wanted_boxes, atol=0.01)
    np.testing.assert_allclose(scores, wanted_scores, atol=1e-4)
    assert np.ptp(scores, axis=0).min() > 1e-3, "equal scores would show nothing"


def refusal(bundle: Path, photo: Path, cpu: str) -> str:
    """What `edge-passd run` says of a bundle that it does not run."""
    arguments: list[str | Path] = ["-m", "edge_passd", "run", bundle, "--source", photo]
    done = run_python(arguments, cpu, check=False)
    assert (done.status, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("board", "cpu", "lacking"), [(PI_5[0], PI_4[1], "asimddp"), (I8MM[0], PI_5[1], "i8mm")]
)
def test_a_processor_that_lacks_what_a_bundle_needs_is_told_so(
    board: str, cpu: str, lacking: str, bundles: Bundles, photo_file: Path
) -> None:
    assert lacking in refusal(bundles("shipped", board), photo_file, cpu)


def test_a_bundle_for_another_machine_is_refused(bundles: Bundles, photo_file: Path) -> None:
    line = refusal(bundles("shipped", "native"), photo_file, PI_5[1])
    assert "x86_64" in line
    assert "aarch64" in line


def test_a_board_has_nothing_of_tvm_but_what_the_bundle_brings(
    bundles: Bundles, photo_file: Path, tmp_path: Path
) -> None:
    whole = read_bundle(bundles("shipped", PI_5[0]))
    assert whole.manifest.plan.runtime == ("libtvm_ffi.so", "libtvm_runtime.so")
    plan = replace(whole.manifest.plan, runtime=())
    kept = {name: data for name, data in whole.files.items() if name.startswith(("model", "const"))}
    bare = tmp_path / "bare.passd"
    write_bundle(bare, replace(whole.manifest, plan=plan), kept)
    assert "libtvm_ffi.so is neither in the bundle nor installed" in refusal(
        bare, photo_file, PI_5[1]
    )
