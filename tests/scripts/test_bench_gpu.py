"""Built, then measured without a GPU: a driver of our own, kernels emulated or doing nothing."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bench_gpu
from bench import gpu_build
from bench.gpu_clock import take_turns
from bench.gpu_correct import Recorded, batches, error_of
from bench.gpu_folder import SAMPLES, pack, read_index, sampled, unpacked
from bench.gpu_models import base_model
from bench.gpu_peers import PEERS
from bench.gpu_tables import tables
from bench.tables import OURS
from edge_passd.errors import BadInput
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input
from targets.gpu.codegen import words
from targets.gpu.emulator.compile import compile_kernels
from tests.engines.conftest import python
from tests.gpu import fake_driver
from tests.gpu.kernels import needs_nvrtc

CLASSES, SIZE, BOARD = 3, 64, "desktop-sm90"
PAGE = f"# GPU\n\n{bench_gpu.BEGIN}\n\nold\n\n{bench_gpu.END}\n\nThe end.\n"

# deform_conv2d as torchvision documents it: offsets in pairs y, x, a pair for each tap, row by row;
# zeros outside the map.
TORCHVISION = """
import torch
import torch.nn.functional as F

def deform_conv2d(input, offset, weight, bias=None, stride=(1, 1), padding=(0, 0)):
    assert (stride, padding) == ((1, 1), (1, 1))
    size = torch.tensor(input.shape[2:])
    height, width = size.tolist()
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    out = bias.float()[None, :, None, None].expand(1, -1, height, width)
    for tap in range(9):
        y = rows + tap // 3 - 1 + offset[:, 2 * tap].float()
        x = columns + tap % 3 - 1 + offset[:, 2 * tap + 1].float()
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        sampled = F.grid_sample(input.float(), grid, align_corners=False)
        out = out + F.conv2d(sampled, weight[:, :, tap // 3, tap % 3, None, None].float())
    return out.to(input.dtype)
"""


@dataclass(frozen=True)
class Built:
    """folder: of two variants, for one photo and for two. sources: of their kernels."""

    folder: Path
    sources: dict[int, str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    sources = {}
    assemble = gpu_build.assemble

    def spy(*arguments: Any) -> Any:
        assembled = assemble(*arguments)
        sources[arguments[-1]] = assembled.lowered.source
        return assembled

    folder = tmp_path_factory.mktemp("bench") / "gpu"
    command = ["build", "--out", folder, "--classes", CLASSES, "--size", SIZE, "--board", BOARD]
    command += ["--precision", "fp16", "--batch", 1, 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_build, "assemble", spy)
        assert bench_gpu.main([*map(str, command)]) == 0
    return Built(folder, sources)


def measured(
    folder: Path, driver: Path, json_file: Path, modules: Path | None = None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """`measure` where there is no GPU. modules: a folder with more to import."""
    command = [bench_gpu.__file__, "measure", folder, "--json", json_file, "--device", "cpu"]
    environment = fake_driver.environment(
        fake_driver.build(driver), **{"capability": "9.0", **settings}
    )
    if modules:
        environment["PYTHONPATH"] = str(modules)
    return python(*command, "--rounds", 1, "--burst", 1, **environment)


@pytest.fixture(scope="module")
def idle(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of kernels that do nothing, from the packed folder."""
    folder = tmp_path_factory.mktemp("idle")
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ops.py").write_text(TORCHVISION)
    information = folder / "torchvision-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 1.0\n"
    )
    packed = built.folder.with_name("gpu.npz.xz")
    done = measured(packed, folder, folder / "gpu.json", folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder


@pytest.fixture(scope="module")
def result(idle: Path) -> dict[str, Any]:
    return json.loads((idle / "gpu.json").read_text())


pytestmark = needs_nvrtc


def test_the_folder_says_what_is_in_it(built: Built) -> None:
    index = read_index(built.folder)
    assert (index.size, index.board, len(index.photos)) == (SIZE, BOARD, 8)
    assert [each.name for each in index.variants] == [
        f"c3-fp16-b1-{BOARD}", f"c3-fp16-b2-{BOARD}",
    ]  # fmt: skip
    assert index.find(CLASSES, "fp16", 2) == index.variants[1]
    assert index.find(CLASSES, "fp32", 2) is None
    first = index.variants[0]
    assert not first.trained
    assert len(first.attend) == 2  # projection, and all the rest
    assert {each.operator for each in first.written} == {*range(first.attend[-1])}


def test_the_packed_folder_is_the_folder_and_smaller(built: Built) -> None:
    packed = built.folder.with_name("gpu.npz.xz")
    files = [*built.folder.iterdir()]
    assert packed.stat().st_size < 0.7 * sum(each.stat().st_size for each in files)
    with unpacked(packed) as folder:
        assert {each.name for each in folder.iterdir()} == {each.name for each in files}
        for each in files:
            assert (folder / each.name).read_bytes() == each.read_bytes()


def test_everything_is_measured(result: dict[str, Any]) -> None:
    assert (result["gpu"], result["size"], result["rounds"]) == ("Fake GPU", SIZE, 1)
    assert result["versions"]["torchvision"] == "1.0"
    assert [row["batch"] for row in result["latency"]] == [1, 2]
    for row in result["latency"]:
        # Every kernel of the fake driver takes a millisecond; a graph of them has no copies.
        launches = len(result["operators"][0]["operators"])
        np.testing.assert_allclose(row["milliseconds"][OURS], launches)
        assert set(row["ratio"]) == set(row["end_to_end"]["ratio"]) == set(PEERS)
        assert row["skipped"] == []
        assert row["floors"]["floor"] >= max(row["floors"]["traffic"], row["floors"]["arithmetic"])
    (row,) = result["offset_convolution"]
    np.testing.assert_allclose(row["milliseconds"][OURS], 2)
    assert len(row["ratio"]) == 3
    (row,) = result["operators"]
    for each in row["operators"]:
        np.testing.assert_allclose(each["microseconds"], 1000)


def test_peers_compute_what_the_model_computes(result: dict[str, Any]) -> None:
    for row in result["latency"]:
        assert all(max(errors) < 5e-3 for errors in row["peer_errors"].values())


def test_kernels_that_compute_nothing_are_told_of(result: dict[str, Any]) -> None:
    for row in result["correctness"]:
        assert row["problem"].startswith("backbone_stem")
        assert row["parity"]["boxes"] > 1
        assert min(row["operators"].values()) > 0.1


def test_right_kernels_are_found_right(
    built: Built, result: dict[str, Any], tmp_path: Path
) -> None:
    """Of one variant, for the emulator has the kernels of one model."""
    variant = f"c3-fp16-b2-{BOARD}"
    others = [row for row in result["correctness"] if row["name"] != variant]
    (tmp_path / "gpu.json").write_text(json.dumps({**result, "correctness": others}))
    kernels = compile_kernels(words() + built.sources[2], tmp_path)
    done = measured(built.folder, tmp_path, tmp_path / "gpu.json", kernels=kernels)
    assert done.returncode == 0, done.stderr
    *_, row = json.loads((tmp_path / "gpu.json").read_text())["correctness"]
    assert (row["name"], row["problem"]) == (variant, None)
    assert max(row["operators"].values()) < 5e-3
    assert row["parity"]["scores"] < 0.02


def test_what_is_measured_is_not_measured_again(
    built: Built, idle: Path, result: dict[str, Any], tmp_path: Path
) -> None:
    partial = {**result, "latency": [], "operators": result["operators"]}
    (tmp_path / "gpu.json").write_text(json.dumps(partial))
    done = python(
        bench_gpu.__file__, "measure", built.folder, "--json", tmp_path / "gpu.json",
        "--device", "cpu", "--minutes", 0,
        **fake_driver.environment(fake_driver.build(idle), capability="9.0"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"time is up before latency of c3-fp16-b1-{BOARD}" in done.stdout
    assert "checking" not in done.stdout


def test_the_page_gets_the_tables_and_keeps_the_rest(
    idle: Path, result: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    assert bench_gpu.main(["page", str(idle / "gpu.json"), "--page", str(path)]) == 0
    text = path.read_text()
    begin, end = PAGE.split("old")
    assert text.startswith(begin)
    assert text.endswith(end)
    assert tables(result).strip() in text
    assert f"| c3-fp16-b2-{BOARD} |" in text
    assert f"{OURS} / torch.compile" in text
    assert "| model | 3 | fp16 | 2 |" in text


def test_a_page_of_half_the_figures_is_good(result: dict[str, Any]) -> None:
    keys = ("correctness", "ceilings", "latency", "offset_convolution", "operators")
    for key in keys:
        assert tables({k: v for k, v in result.items() if k != key}) != tables(result)
    head = tables({k: v for k, v in result.items() if k not in keys})
    assert head.count("\n") == 1


BAD = {
    "no such folder": (["measure", "{}/none", "--json", "{}/x"], "no such file"),
    "not packed": (["measure", "{}/page.md", "--json", "{}/x"], "damaged"),
    "no folder of ours": (["measure", "{}", "--json", "{}/x"], "bench.json"),
    "figures into a folder": (["measure", "{}", "--json", "{}"], "is a folder"),
    "a folder that is full": (["build", "--out", "{}"], "name a new folder"),
    "no such board": (["build", "--out", "{}/new", "--board", "toaster"], "toaster"),
    "no float model": (["build", "--out", "{}/new", "--float", "{}/page.md"], "page.md"),
    "no figures": (["page", "{}/none.json", "--page", "{}/page.md"], "none.json"),
}


@pytest.mark.parametrize(("arguments", "complaint"), BAD.values(), ids=BAD)
def test_bad_input_ends_with_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("nothing")
    assert bench_gpu.main([each.format(tmp_path) for each in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert complaint in line


def test_a_machine_without_a_gpu_is_one_line(built: Built, tmp_path: Path) -> None:
    done = measured(built.folder, tmp_path, tmp_path / "gpu.json", devices=0)
    assert done.returncode == 2
    assert "finds no GPU" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "gpu.json").exists()


def test_a_folder_of_another_version_is_refused(built: Built, tmp_path: Path) -> None:
    index = json.loads((built.folder / "bench.json").read_text())
    (tmp_path / "bench.json").write_text(json.dumps({**index, "schema": 99}))
    with pytest.raises(BadInput, match="another version"):
        read_index(tmp_path)


def test_a_packed_folder_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(np.random.default_rng(0).bytes(100_000))
    packed = pack(folder)
    packed.write_bytes(packed.read_bytes()[:50_000])
    with pytest.raises(BadInput, match="damaged"), unpacked(packed):
        pass


@given(st.integers(1, 3 * 10**6))
def test_samples_are_different_elements(size: int) -> None:
    at = sampled(size)
    assert len(np.unique(at)) == len(at) == min(size, SAMPLES)
    assert 0 <= at.min() <= at.max() < size


def test_errors_are_relative_to_everything() -> None:
    wanted = np.array([3, 4], np.float32)
    assert error_of(np.array([3, 4], np.float16), wanted) == 0
    np.testing.assert_allclose(error_of(np.array([3, 4.5], np.float32), wanted), 0.1)
    assert error_of(np.array([3, np.nan], np.float32), wanted) == np.inf
    assert error_of(np.array([1, 2, 3, 4], np.int8), np.array([1, 2, 3, 5], np.int8)) == 0.25


def test_each_takes_a_turn_in_each_round() -> None:
    calls: list[tuple[str, int]] = []

    def timer(name: str, seconds: float) -> Any:
        def run(runs: int) -> np.ndarray:
            calls.append((name, runs))
            return np.r_[[9.0] * (runs - 3), [seconds] * 3]

        return run

    found = take_turns({"a": timer("a", 1.0), "b": timer("b", 2.0)}, rounds=4, burst=3)
    np.testing.assert_array_equal(found["a"], np.full((4, 3), 1.0))
    np.testing.assert_array_equal(found["b"], np.full((4, 3), 2.0))
    assert all({calls[i][0], calls[i + 1][0]} == {"a", "b"} for i in range(0, 8, 2))
    assert len({calls[i][0] for i in range(0, 8, 2)}) == 2  # not always the same first


def test_every_image_is_first_in_a_batch() -> None:
    images = [np.full((1, 3, 2, 2), value, np.float32) for value in (1, 2, 3)]
    found = [[*each[:, 0, 0, 0]] for each in batches(images, 4)]
    assert found == [[1, 2, 3, 1], [2, 3, 1, 2], [3, 1, 2, 3]]


def test_an_image_that_was_not_recorded_has_no_answer() -> None:
    image = np.zeros((1, 3, 2, 2), np.float32)
    recorded = Recorded(None, [image], {"boxes": np.ones((1, 5, 4)), "scores": np.ones((1, 5, 3))})
    assert [each.shape for each in recorded.run(image)] == [(1, 5, 4), (1, 5, 3)]
    with pytest.raises(KeyError):
        recorded.run(image + 1)


@torch.no_grad()
def test_a_float_model_is_the_same_from_a_file_and_a_run(
    small_onnx: Path, small_run: Path, photo_file: Path
) -> None:
    models = [base_model(path, 6, 320) for path in (small_onnx, small_run)]
    size = models[0].config.input_size
    assert size == models[1].config.input_size == 128
    image, _ = to_input(read_photo(photo_file), size, "stretch")
    first, second = (each.detections(torch.from_numpy(image)) for each in models)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-3)


def test_the_script_starts_without_what_only_building_needs() -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder

class Without(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tvm", "onnx", "onnxscript", "click", "rich"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Without())
sys.path.insert(0, "scripts")
import bench.gpu_measure, bench.gpu_tables, bench.page
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
