"""Kernels written by hand, sound and faulty, on the emulated GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_passd.bundle import Launch
from edge_passd.errors import BadInput
from targets.gpu.emulator.compile import compile_kernels
from targets.gpu.emulator.engine import ARRAYS, POISON, EmulatedEngine, EmulatedGpu, KernelFault
from tests.engines import toy_bundle
from tests.gpu import fake_driver
from tests.gpu.kernels import needs_nvrtc

GPU = Path(__file__).parents[2] / "targets" / "gpu"
SOURCES = Path(__file__).parent / "emulated"
SIZE = 4096  # bytes of each array unless a test says otherwise
ORDERS = pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])


def source(*names: str) -> str:
    texts = (path.read_text() for path in (GPU / "words.cuh", *(SOURCES / each for each in names)))
    return "".join(texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="module")
def sound(folder: Path) -> Path:
    return compile_kernels(source("sound.cu", "toy.cu"), folder)


@pytest.fixture(scope="module")
def faulty(folder: Path) -> Path:
    return compile_kernels(source("faulty.cu"), folder)


def gpu_with(kernels: Path, **contents: np.ndarray) -> EmulatedGpu:
    """contents: of arrays by name; the others are 0."""
    dtypes = (np.uint8, np.uint8, np.float32, np.float32, np.float32)
    blank = {
        name: np.zeros(SIZE // np.dtype(dtype).itemsize, dtype)
        for name, dtype in zip(ARRAYS, dtypes, strict=True)
    }
    return EmulatedGpu(kernels, tuple({**blank, **contents}.values()))


def launch_of(kernel: str, threads: int = 64, blocks: int = 1, shared_bytes: int = 0) -> Launch:
    return Launch(kernel, (blocks, 1, 1), (threads, 1, 1), shared_bytes)


def numbers(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count).astype(np.float32)


# ---- sound kernels ------------------------------------------------------------------------------


@ORDERS
def test_threads_read_what_others_wrote_before_a_barrier(sound: Path, descending: bool) -> None:
    image = numbers(768)
    gpu = gpu_with(sound, image=image)
    gpu.launch(launch_of("reversed", 256, 3), descending)
    np.testing.assert_array_equal(gpu.arrays[3][:768], image.reshape(3, 256)[:, ::-1].ravel())


@ORDERS
def test_barriers_in_a_loop_on_dynamic_memory(sound: Path, descending: bool) -> None:
    image = np.arange(100, dtype=np.float32)
    gpu = gpu_with(sound, image=image)
    gpu.launch(launch_of("running_sums", 100, shared_bytes=400), descending)
    np.testing.assert_array_equal(gpu.arrays[3][:100], np.cumsum(image))


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((1, 1, 1), (1, 1, 1)),
        ((2, 3, 5), (4, 2, 3)),
        ((3, 1, 2), (1, 33, 1)),
        ((1, 1, 1), (1, 16, 64)),
    ],
)
@ORDERS
def test_every_thread_of_the_grid_runs_once(
    sound: Path, grid: tuple[int, int, int], block: tuple[int, int, int], descending: bool
) -> None:
    gpu = gpu_with(sound, workspace=np.full(SIZE, 255, np.uint8))
    gpu.launch(Launch("places", grid, block, 0), descending)
    count = int(np.prod(grid) * np.prod(block))
    places = gpu.arrays[1].view(np.int32)
    np.testing.assert_array_equal(places[:count], np.arange(count))
    assert (places[count:] == -1).all()


@ORDERS
def test_shuffles(sound: Path, descending: bool) -> None:
    image = np.arange(64, dtype=np.float32) ** 2
    gpu = gpu_with(sound, image=image)
    gpu.launch(launch_of("warps"), descending)
    threads = np.arange(64)
    np.testing.assert_array_equal(
        gpu.arrays[3][:64], image[threads // 32 * 32 + (threads * 5 + 3) % 32]
    )
    np.testing.assert_array_equal(gpu.arrays[4][:64], image.reshape(2, 32).sum(1).repeat(32))


@ORDERS
def test_copies_arrive_where_a_kernel_waits(sound: Path, descending: bool) -> None:
    tiles = numbers(6 * 64).reshape(6, 16, 4)
    gpu = gpu_with(sound, constants=tiles.view(np.uint8).ravel())
    gpu.launch(launch_of("pipeline", 16), descending)
    tiles[3] = 1
    expected = np.zeros((16, 4), np.float32)
    for tile in tiles:
        expected += tile[::-1]
    np.testing.assert_array_equal(gpu.arrays[3][:64], expected.ravel())


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-5, 1, 50]), st.booleans())
@settings(max_examples=20)
def test_products_of_halves(sound: Path, seed: int, scale: float, descending: bool) -> None:
    a, b = (scale * numbers(2 * 16 * 48, seed)).astype(np.float16).reshape(2, 16, 48)
    gpu = gpu_with(sound, constants=a.view(np.uint8).ravel(), workspace=b.view(np.uint8).ravel())
    gpu.launch(launch_of("product_f16", 32), descending)
    a, b = a.astype(np.float64), b.astype(np.float64)
    error = np.abs(gpu.arrays[4][:256].reshape(16, 16) - a @ b.T)
    assert (error <= 48 * 2**-24 * (np.abs(a) @ np.abs(b).T)).all()


@given(arrays(np.int8, (2, 16, 96), elements=st.integers(-128, 127)), st.booleans())
@settings(max_examples=20)
def test_products_of_bytes_are_exact(sound: Path, both: np.ndarray, descending: bool) -> None:
    a, b = both.view(np.uint8)
    gpu = gpu_with(sound, constants=a.ravel(), workspace=b.ravel())
    gpu.launch(launch_of("product_s8", 32), descending)
    a, b = both.astype(np.int32)
    sums = gpu.arrays[4].view(np.int32)[:256].reshape(16, 16)
    np.testing.assert_array_equal(sums, a @ b.T)


# Halves' rounding at its borders: ties, the largest, the least, and what has none.
ODD_FLOATS = [
    0.0, -0.0, 1 + 2**-11, 1 + 3 * 2**-11, 65504, 65519.996, 65520, -1e6, 2**-24, 2**-25,
    1.5 * 2**-25, 6.1e-5, np.inf, -np.inf, np.nan, 0.5, 1.5, -2.5, 2**31, -(2.0**31), 3e9, -3e9,
]  # fmt: skip


def test_words(sound: Path) -> None:
    every_half = np.arange(2**16, dtype=np.uint32)
    with np.errstate(all="ignore"):
        lows = np.concatenate([
            np.array(ODD_FLOATS * 2, np.float32), numbers(20),
            (every_half | every_half[::-1] << 16).view(np.float32),
        ])  # fmt: skip
    highs = np.roll(lows, 5)
    lows, highs = (each[: len(each) // 64 * 64] for each in (lows, highs))
    gpu = gpu_with(
        sound,
        image=np.stack([lows, highs], 1).ravel(),
        workspace=np.zeros(32 * len(lows), np.uint8),
    )
    gpu.launch(launch_of("words", 64, len(lows) // 64))
    halves, rounded, *floats = gpu.arrays[1].view(np.int32).reshape(-1, 8).T
    low_half, high_half, _, fused, largest, least = (each.view(np.float32) for each in floats)
    with np.errstate(all="ignore"):
        expected = np.stack([lows, highs], 1).astype(np.float16)
        whole = np.nan_to_num(np.clip(np.rint(lows.astype(np.float64)), -(2**31), 2**31 - 1))
        low, high = expected.astype(np.float32).T
        same(np.ascontiguousarray(halves).view(np.float16).reshape(-1, 2), expected)
        same(rounded, whole.astype(np.int32))
        same(low_half, lows.view(np.float16)[::2].astype(np.float32))
        same(high_half, lows.view(np.float16)[1::2].astype(np.float32))
        same(fused, (low.astype(np.float64) * high + 1).astype(np.float32))  # halves: exact
        same(largest, np.fmax(lows, highs))
        same(least, np.fmin(lows, highs))
    first, second = (each.view(np.int8).reshape(-1, 4).astype(np.int32) for each in (lows, highs))
    same(floats[2], 7 + (first * second).sum(1, dtype=np.int32))


def same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(found, expected)


# ---- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kernel",
    [
        "no_barrier", "no_second_barrier", "no_wait", "short_wait", "no_commit",
        "wait_after_barrier", "not_initialised",
    ],
)  # fmt: skip
@ORDERS
def test_what_is_not_waited_for_is_not_there(faulty: Path, kernel: str, descending: bool) -> None:
    image = numbers(64)
    gpu = gpu_with(faulty, image=image)
    gpu.launch(launch_of(kernel), descending)
    assert (gpu.arrays[3][:64] != image[::-1]).any()


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        ("divergent_barrier", r"32 of 64 threads wait for a barrier, but 32, .* have ended"),
        ("early_end", "63 of 64 threads wait for a barrier, but 1, the last of them thread 5,"),
        ("half_a_warp", "only 16 of the 32 lanes of warp 1"),
        ("two_operations", "lanes 0 and 1 of warp [01] are in different operations"),
        ("barrier_or_shuffle", "only 16 of the 32 lanes of warp [01]"),
        ("misaligned", r"access to '[a-z ]*float4' at an address that is no multiple of 16"),
        ("local_index", r"access to '.*' out of its array|index \d+ of 'float \[8\]'"),
        ("shared_index", r"access to '.*' out of its array|index 64 of 'float \[64\]'"),
        ("shared_vector", "access to '.*' out of its array"),
        ("behind_dynamic", "it wrote behind its 256 bytes of dynamic shared memory"),
        ("copy_to_odd", "copy16: not at a multiple of 16 bytes"),
        ("copy_from_odd", "copy16: global address is no multiple of 16"),
        ("copy_to_global", "copy16: not, or not only, in shared memory"),
        ("copy_behind", "copy16: not, or not only, in shared memory"),
        ("load_from_global", "load_b: not, or not only, in shared memory"),
        ("load_behind", "load_b: not, or not only, in shared memory"),
        ("load_from_odd", "load_b: not at a multiple of 32 bytes"),
        ("load_odd_pitch", "load_b: the pitch, 24 bytes, is no multiple of 16"),
        ("load_apart", "load_b: lane 1 gives another address or pitch than lane 0"),
        ("store_to_global", "store_sums: not, or not only, in shared memory"),
        ("beside_scores", "wrote beside scores, at byte -4"),
        ("into_constants", "wrote into constants"),
    ],
)
@ORDERS
def test_faults_end_a_launch(faulty: Path, kernel: str, says: str, descending: bool) -> None:
    gpu = gpu_with(faulty, image=numbers(64))
    with pytest.raises(KernelFault, match=rf"^kernel {kernel}\b.*({says})"):
        gpu.launch(launch_of(kernel, shared_bytes=256), descending)


def test_a_fault_names_the_block_and_the_thread_and_ends_with_its_launch(faulty: Path) -> None:
    gpu = gpu_with(faulty)
    with pytest.raises(
        KernelFault, match=r"block \(0, 0, 0\), thread \(1, 0, 0\): its line 2: access"
    ):
        gpu.launch(launch_of("misaligned", blocks=2))
    image = gpu.arrays[2]
    image[:] = numbers(len(image))
    with pytest.raises(
        KernelFault, match=r"block \(1, 0, 0\), thread \(63, 0, 0\): its line 2: access"
    ):
        gpu.launch(launch_of("misaligned", blocks=2), descending=True)


@pytest.mark.parametrize(
    ("launch", "says"),
    [
        (launch_of("reserved"), "there is no kernel reserved"),
        (launch_of("reversed", 257), "blocks of 257 threads; it is compiled for at most 256"),
        (launch_of("places", 1025), "no GPU runs 1 x 1 x 1 blocks of 1025 x 1 x 1"),
        (Launch("places", (1, 1, 1), (64, 32, 1), 0), "blocks of 2048 threads"),
        (Launch("places", (1, 0, 1), (1, 1, 1), 0), "no GPU runs 1 x 0 x 1 blocks"),
        (Launch("places", (1, 1, 65536), (1, 1, 1), 0), "no GPU runs 1 x 1 x 65536"),
        (launch_of("places", shared_bytes=2**18), "262144 bytes of dynamic shared memory"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_launches_that_no_gpu_takes(sound: Path, launch: Launch, says: str) -> None:
    with pytest.raises(KernelFault, match=says):
        gpu_with(sound).launch(launch)


# ---- compiling ----------------------------------------------------------------------------------


def test_a_source_is_compiled_once(sound: Path, folder: Path) -> None:
    before = sound.stat()
    assert compile_kernels(source("sound.cu", "toy.cu"), folder) == sound
    assert sound.stat() == before
    assert not [path for path in folder.iterdir() if path.suffix != ".so"]


def test_what_is_no_function_of_the_prelude_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="__syncthreads"):
        compile_kernels(source("toy.cu").replace("barrier()", "__syncthreads()"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++-of-nobody")
    with pytest.raises(BadInput, match=r"no g\+\+-of-nobody.*apt-get install g\+\+"):
        compile_kernels(source("toy.cu"), tmp_path)


def test_an_old_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "g++-old"
    old.write_text("#!/bin/sh\necho 11\n")
    old.chmod(0o755)
    monkeypatch.setenv("CXX", str(old))
    with pytest.raises(BadInput, match="is version 11, the emulator takes 12 or newer"):
        compile_kernels(source("toy.cu"), tmp_path)


@needs_nvrtc
@pytest.mark.parametrize("architecture", ["sm_72", "sm_87"])
def test_the_sound_kernels_are_cuda(architecture: str) -> None:
    from targets.gpu.nvrtc import compile_cuda

    prelude = (GPU / "prelude.cuh").read_text()
    compiled = compile_cuda(prelude + source("sound.cu"), architecture)
    kernels = set(re.findall(r"(\w+)\(ARRAYS\)", source("sound.cu")))
    assert {each.kernel for each in compiled.resources} == kernels


# Helpers of the prelude that only itself calls.
OWN = {"shared_address", "lane", "load_matrices", "load_a", "load_b"}


def test_both_preludes_have_the_same_functions() -> None:
    real = functions((GPU / "prelude.cuh").read_text())
    emulated = functions((GPU / "emulator" / "prelude.h").read_text())
    assert len(real) > 20
    assert real - emulated == OWN


def functions(text: str) -> set[str]:
    return set(re.findall(r"^(?:INLINE )?(?:void|int|float|unsigned) (\w+)\(", text, re.MULTILINE))


# ---- a whole model ------------------------------------------------------------------------------


def toy_image() -> np.ndarray:
    image = np.random.default_rng(1).uniform(0, 255, (1, 3, 64, 64)).astype(np.float32)
    image[0, 1] /= 2
    return image


def check_toy(image: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> None:
    shares = image.astype(np.float64).mean((0, 2, 3)) / 255
    np.testing.assert_array_equal(boxes, toy_bundle.BOXES[None])
    np.testing.assert_allclose(scores[0, :, 0], 1 - shares, rtol=1e-5)
    np.testing.assert_allclose(scores[0, :, 1:], np.diag(shares), rtol=1e-5)


@ORDERS
def test_the_engine_goes_by_the_manifest(sound: Path, descending: bool) -> None:
    engine = EmulatedEngine(toy_bundle.MANIFEST, toy_bundle.files(), sound, descending)
    image = toy_image()
    for each in (image, image[:, ::-1].copy()):
        check_toy(each, *engine.run(each))
    assert engine.name == "emulated GPU"
    assert '"colours"' in engine.metadata


def test_the_engine_takes_what_the_model_takes(sound: Path) -> None:
    engine = EmulatedEngine(toy_bundle.MANIFEST, toy_bundle.files(), sound)
    with pytest.raises(ValueError, match=r"the model takes \(1, 3, 64, 64\) float32"):
        engine.run(np.zeros((1, 3, 64, 32), np.float32))


def test_memory_nobody_wrote_is_poison(sound: Path) -> None:
    plan = replace(toy_bundle.PLAN, launches=(launch_of("early", 12),), workspace_bytes=SIZE)
    manifest = replace(toy_bundle.MANIFEST, plan=plan)
    boxes, scores = EmulatedEngine(manifest, toy_bundle.files(), sound).run(toy_image())
    assert (boxes.view(np.uint8) == POISON).all()
    assert (scores.view(np.uint8) == POISON).all()


RUN = """
import sys
from pathlib import Path
import numpy as np
from edge_passd.engines.cuda import CudaEngine
np.savez(sys.argv[3], *CudaEngine(Path(sys.argv[1])).run(np.load(sys.argv[2])))
"""


def test_the_engine_for_gpus_on_a_fake_driver(sound: Path, tmp_path: Path) -> None:
    toy_bundle.toy_bundle(tmp_path / "toy.passd")
    np.save(tmp_path / "image.npy", toy_image())
    found = fake_driver.environment(fake_driver.build(tmp_path), kernels=sound)
    files = [str(tmp_path / name) for name in ("toy.passd", "image.npy", "out.npz")]
    subprocess.run(
        [sys.executable, "-c", RUN, *files], env={**os.environ, **found}, check=True, timeout=100
    )
    check_toy(toy_image(), *np.load(tmp_path / "out.npz").values())
