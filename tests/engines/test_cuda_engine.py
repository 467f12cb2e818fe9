"""CUDA bundles in processes of their own, with a driver that has no GPU behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from targets.cuda import choose_board
from targets.gpu.images import build_images
from tests.engines.conftest import Run, python
from tests.engines.toy_bundle import (
    BOXES,
    COLOURS,
    CUBIN,
    KERNELS,
    MANIFEST,
    PLAN,
    PTX,
    SIZE,
    cubin,
    ptx,
    toy_bundle,
)
from tests.gpu.fake_driver import RELEASES
from tests.gpu.kernels import needs_nvrtc

NOTHING = dict.fromkeys(
    ("contexts", "modules", "streams", "events", "graphs", "executables", "device", "host"), 0
)
LOAD = """
import json, sys
from pathlib import Path
import numpy as np
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
path = Path(sys.argv[1])

def flat(*levels):
    return np.tile(np.float32(levels).reshape(1, -1, 1, 1), (1, 3 // len(levels), 64, 64))

def shares(engine, image):
    return engine.run(image)[1][0].diagonal(1).tolist()

engine = load_engine(path)
"""


def outcome(run: Run, code: str, path: Path, **settings: object) -> Any:
    """What `code`, after LOAD, prints, read as JSON."""
    done = run("-c", LOAD + code, path, **settings)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("release", RELEASES)
def test_every_driver_gives_the_same_answers_and_gets_everything_back(
    run: Run, toy: Path, tmp_path: Path, release: int
) -> None:
    report = tmp_path / "report.json"
    code = """
boxes, scores = engine.run(flat(51, 255, 102))
dtypes = str(boxes.dtype), str(scores.dtype)
print(json.dumps([engine.name, dtypes, boxes.tolist(), scores.tolist()]))
"""
    settings = {"driver": 10020} if release < 10020 else {}
    name, dtypes, boxes, scores = outcome(
        run, code, toy, release=release, report=report, **settings
    )
    assert (name, dtypes) == ("cuda", ["float32", "float32"])
    np.testing.assert_array_equal(boxes, [BOXES])
    known = [[0.8, 0.2, 0, 0], [0, 0, 1, 0], [0.6, 0, 0, 0.4]]
    np.testing.assert_allclose(scores, [known], atol=1e-6)
    said = json.loads(report.read_text())
    assert said["left"] == NOTHING
    # Once to warm up and once for the answer: nothing runs while the graph is captured.
    assert said["launches"] == 4
    assert said["replays"] == (0 if release < 10020 else 1)


def test_images_may_lie_anywhere_and_answers_stay(run: Run, toy: Path) -> None:
    code = """
first = engine.run(flat(51))[1]
before = first.copy()
random = np.random.default_rng(0).random((64, 64, 3), np.float32).transpose(2, 0, 1)[None] * 255
same = np.allclose(shares(engine, random), random.mean((2, 3))[0] / 255, atol=1e-6)
print(json.dumps([same, np.array_equal(first, before), first[0].diagonal(1).tolist()]))
"""
    same, stays, known = outcome(run, code, toy)
    assert same
    assert stays
    np.testing.assert_allclose(known, 0.2, atol=1e-6)


def test_threads_may_share_an_engine_and_engines_a_process(run: Run, toy: Path) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
engines = [engine, load_engine(path)]
with ThreadPoolExecutor(6) as pool:
    found = list(pool.map(lambda n: shares(engines[n % 2], flat(n))[0], range(256)))
print(json.dumps(found))
"""
    np.testing.assert_allclose(outcome(run, code, toy), np.arange(256) / 255, atol=1e-6)


@pytest.mark.parametrize("release", [9020, 12060])
def test_times_are_those_of_the_gpu(run: Run, toy: Path, release: int) -> None:
    """Every kernel of the fake driver takes a millisecond."""
    code = """
print(json.dumps([
    engine.time_operators(flat(1), 5).tolist(), engine.time_graph(flat(1), 4).tolist(),
]))
"""
    operators, graph = outcome(run, code, toy, release=release, driver=12060)
    np.testing.assert_allclose(operators, np.full((2, 5), 1e-3))
    np.testing.assert_allclose(graph, np.full(4, 2e-3))


@pytest.mark.parametrize(("release", "graphs"), [(9020, False), (12060, True)])
def test_a_part_of_the_operators_can_be_timed(
    run: Run, toy: Path, tmp_path: Path, release: int, graphs: bool
) -> None:
    """Without copies; what was captured once is replayed."""
    report = tmp_path / "report.json"
    code = """
parts = [[1], [0, 1], [1, 1, 0], [1]]
print(json.dumps([engine.time_graph(flat(51), 2, part).tolist() for part in parts]))
"""
    found = outcome(run, code, toy, release=release, driver=12060, report=report)
    np.testing.assert_allclose(found, np.repeat([[1e-3], [2e-3], [3e-3], [1e-3]], 2, axis=1))
    said = json.loads(report.read_text())
    # At the start, then for each part a whole run and twice the part.
    assert said["launches"] == 2 + 4 * 2 + 2 * (1 + 2 + 3 + 1)
    assert said["replays"] == (4 + 4 * 2 if graphs else 0)
    assert said["left"] == NOTHING


def test_a_part_of_the_operators_can_be_run(run: Run, toy: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code = """
engine.run(flat(51))
parts = (0, 0), (1, 2), (0, 2)
left = [engine.run_operators(flat(102, 0, 255), *part).view(np.float32).tolist() for part in parts]
print(json.dumps([left, shares(engine, flat(102))]))
"""
    left, found = outcome(run, code, toy, report=report)
    np.testing.assert_allclose(found, 0.4, atol=1e-6)
    # The workspace holds the channels' means, from the run before until operator 0 runs again.
    np.testing.assert_allclose(left, [[0.2] * 3, [0.2] * 3, [0.4, 0, 1]], atol=1e-6)
    assert json.loads(report.read_text())["launches"] == 2 + 2 + 0 + 1 + 2 + 2


@pytest.mark.parametrize("leave", ["engine.close(); engine.close()", "del engine", "keep = engine"])
def test_what_it_took_is_given_back(run: Run, toy: Path, tmp_path: Path, leave: str) -> None:
    report = tmp_path / "report.json"
    code = f"""
engine.time_graph(flat(1), 2)
{leave}
other = load_engine(path)
print(json.dumps(shares(other, flat(51))))
"""
    np.testing.assert_allclose(outcome(run, code, toy, report=report), 0.2, atol=1e-6)
    assert json.loads(report.read_text())["left"] == NOTHING


def test_memory_of_a_closed_engine_is_free_for_the_next(run: Run, toy: Path) -> None:
    code = """
for _ in range(20):
    engine.close()
    engine = load_engine(path)
print(json.dumps(shares(engine, flat(51))))
"""
    np.testing.assert_allclose(outcome(run, code, toy, memory=60_000), 0.2, atol=1e-6)


def test_misuse_is_a_value_error(run: Run, toy: Path) -> None:
    code = """
said = []
for image, closed in ((flat(1)[0], False), (flat(1).astype("f8"), False), (flat(1), True)):
    if closed:
        engine.close()
    try:
        engine.run(image)
    except ValueError as error:
        said.append(str(error))
print(json.dumps(said))
"""
    shape, dtype, closed = outcome(run, code, toy)
    assert shape == f"the model takes (1, 3, {SIZE}, {SIZE}) float32, not (3, 64, 64) float32"
    assert "float64" in dtype
    assert closed == "the engine is closed"


def test_only_the_driver_is_loaded(run: Run, toy: Path) -> None:
    code = """
engine.run(flat(1))
loaded = {line.split()[-1].rpartition("/")[2] for line in open("/proc/self/maps") if ".so" in line}
loaded = [name for name in sorted(loaded) if any(part in name for part in ("cu", "nv", "tvm"))]
print(json.dumps([loaded, [name for name in ("tvm", "tvm_ffi", "torch") if name in sys.modules]]))
"""
    assert outcome(run, code, toy) == [["libcuda.so.1"], []]


def test_ptx_takes_over_where_the_machine_code_does_not_fit(run: Run, tmp_path: Path) -> None:
    """Each image of this bundle lacks a kernel in turn, so it shows which one was taken."""
    halves = {CUBIN.file: cubin(["means"]), PTX.file: ptx(["answers"])}
    path = toy_bundle(tmp_path / "m.passd", halves)
    assert "kernel answers: cuModuleGetFunction" in refused(run, path)
    for settings in ({"driver": 10020}, {"capability": "7.2"}, {"capability": "11.0"}):
        assert "kernel means: cuModuleGetFunction" in refused(run, path, **settings)


SOURCE = """
extern "C" __global__ void means(
    unsigned char* constants, float* workspace, float* image, float* boxes, float* scores)
{ workspace[threadIdx.x] = image[threadIdx.x]; }
extern "C" __global__ void answers(
    unsigned char* constants, float* workspace, float* image, float* boxes, float* scores)
{ scores[threadIdx.x] = workspace[threadIdx.x] + constants[threadIdx.x]; }
"""


@needs_nvrtc
def test_what_the_compiler_makes_is_a_bundle(run: Run, tmp_path: Path) -> None:
    """Real machine code and PTX; the fake driver finds the kernels in them and runs its own."""
    built = build_images(SOURCE, choose_board("jetson"), KERNELS)
    plan = replace(PLAN, images=tuple(each.image for each in built))
    path = toy_bundle(
        tmp_path / "m.passd",
        {each.image.file: each.content for each in built},
        plan=plan,
        target=replace(MANIFEST.target, cpu=plan.architectures),
    )
    code = "print(json.dumps(shares(engine, flat(51))))"
    for settings in (
        {"capability": "8.7"}, {"capability": "7.2"}, {"capability": "8.6"},
        {"capability": "7.2", "driver": 10020},
    ):  # fmt: skip
        np.testing.assert_allclose(outcome(run, code, path, **settings), 0.2, atol=1e-6)


def refused(run: Run, path: Path, **settings: object) -> str:
    """The one line of `BadInput` when the bundle is loaded and run."""
    code = LOAD.replace(
        "engine = load_engine(path)",
        """
try:
    load_engine(path).run(flat(1))
except BadInput as error:
    print(error)
""",
    )
    done = run("-c", code, path, **settings)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (line,) = done.stdout.splitlines()
    return line


def changed(**changes: Any) -> dict[str, Any]:
    """The toy manifest's plan with other launches: `changes` of the first."""
    first, second = PLAN.launches
    return {"plan": replace(PLAN, launches=(replace(first, **changes), second))}


REFUSALS: dict[str, tuple[dict[str, object], dict[str, Any], tuple[str, ...]]] = {
    "no GPU": ({"init": 100}, {}, ("finds no GPU", "nvidia-smi", "--engine onnxruntime")),
    "no device": ({"devices": 0}, {}, ("finds no GPU",)),
    "broken driver": ({"init": 3}, {}, ("cuInit: CUDA_ERROR_NOT_INITIALIZED 3 (init",)),
    "unknown error": ({"init": 803}, {}, ("cuInit: unknown 803",)),
    "another GPU": (
        {"capability": "5.3", "name": "Tegra X1"}, {},
        ("is for sm_87+compute_72 (jetson-orin-nano), this GPU (Tegra X1, driver for CUDA 12.6) is "
         "sm_53; compile",),
    ),
    "old driver": ({"driver": 10010}, {}, ("needs a driver for CUDA 10.2, on a Jetson JetPack 4",)),
    "memory": (
        {"memory": 5_000_000}, {"plan": replace(PLAN, workspace_bytes=8_000_000)},
        ("out of GPU memory: 8.0 MB are needed, 5.0 MB were free",),
    ),
    "shared memory": (
        {}, changed(shared_bytes=200_000),
        ("kernel means: cuFuncSetAttribute: CUDA_ERROR_INVALID_VALUE",),
    ),
    "no such kernel": (
        {}, changed(kernel="mean"), ("kernel mean: cuModuleGetFunction", "CUDA_ERROR_NOT_FOUND"),
    ),
    "kernel fails": (
        {}, changed(grid=(4, 1, 1)), ("cuda cannot load it: cu", "CUDA_ERROR_LAUNCH_FAILED 719"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_loaded_is_one_line(run: Run, tmp_path: Path, case: str) -> None:
    settings, changes, words = REFUSALS[case]
    line = refused(run, toy_bundle(tmp_path / "m.passd", **changes), **settings)
    for word in words:
        assert word in line


def test_an_image_that_the_driver_refuses_says_why(run: Run, tmp_path: Path) -> None:
    path = toy_bundle(tmp_path / "m.passd", {PTX.file: ptx() + b"bad_instruction"})
    line = refused(run, path, driver=10020)
    assert "the driver (CUDA 10.2) refuses kernels.compute_72.ptx: cuModuleLoadDataEx: " in line
    assert "CUDA_ERROR_INVALID_PTX 218 (a PTX JIT compilation failed)" in line
    assert "ptxas application ptx input, line 9 : syntax error; update it" in line


def test_a_gpu_that_is_lost_is_bad_input(run: Run, toy: Path) -> None:
    """The kernels work while it loads, and fail at the first frame."""
    code = """
from ctypes import CDLL
CDLL("libcuda.so.1").fake_fail_from_now_on()
said = []
for _ in range(2):
    try:
        engine.run(flat(1))
    except BadInput as error:
        said.append(str(error))
print(json.dumps(said))
"""
    first, second = outcome(run, code, toy)
    assert first.startswith(f"{toy}: the GPU failed while it computed (cuStreamSynchronize: ")
    assert "CUDA_ERROR_LAUNCH_FAILED 719 (unspecified launch failure)); start again" in first
    assert "CUDA_ERROR_LAUNCH_FAILED" in second


def test_a_driver_that_cannot_be_loaded_is_one_line(toy: Path, tmp_path: Path) -> None:
    """Here it is no library, so that the test means the same on a machine that has a driver."""
    (tmp_path / "libcuda.so.1").write_text("not a library")
    photo = tmp_path / "photo.png"
    done = python(
        "-m", "edge_passd", "run", toy, "--source", photo_at(photo), LD_LIBRARY_PATH=str(tmp_path)
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge-passd: no CUDA driver ({tmp_path}/libcuda.so.1: ")
    assert "on a Jetson install JetPack, on a PC NVIDIA's driver, or run the .onnx" in line


def photo_at(path: Path) -> Path:
    import cv2

    cv2.imwrite(str(path), np.full((60, 80, 3), (51, 102, 204), np.uint8))
    return path


def test_the_command_line_runs_a_bundle(
    run: Run, toy: Path, photo: np.ndarray, photo_file: Path
) -> None:
    done = run("-m", "edge_passd", "run", toy, "--source", photo_file, "--json", "-", "--conf", "0")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["detections"]
    blue, green, red = photo.reshape(-1, 3).mean(0) / 255
    known = dict(zip(COLOURS, (red, green, blue), strict=True))
    assert {each["label"]: each["score"] for each in found} == pytest.approx(known, abs=0.01)
    height, width = photo.shape[:2]
    for each in found:
        wanted = BOXES[COLOURS.index(each["label"])] * ([width, height] * 2) / SIZE
        np.testing.assert_allclose(each["box"], wanted, atol=0.06)


def test_the_command_line_ends_with_one_line(run: Run, toy: Path, tmp_path: Path) -> None:
    source = photo_at(tmp_path / "photo.png")
    done = run("-m", "edge_passd", "run", toy, "--source", source, devices=0)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-passd: the CUDA driver (libcuda.so.1) finds no GPU: ")


def test_the_precision_is_that_of_the_kernels(run: Run, toy: Path) -> None:
    metadata = json.loads(outcome(run, "print(json.dumps(engine.metadata))", toy))
    assert (MANIFEST.model.precision, metadata["precision"]) == ("int8", "fp16")
