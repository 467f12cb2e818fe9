"""Real compilations by NVIDIA's compilers, and their errors."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from targets.gpu import nvrtc
from targets.gpu.nvrtc import WHEELS, Resources, compile_cuda, resources_of
from tests.gpu.kernels import CROWDED, KERNELS, SOURCE, needs_nvrtc

pytestmark = needs_nvrtc

RELEASES = {
    "sm_53": "11.8", "sm_72": "11.8", "sm_87": "11.8", "sm_90": "11.8",
    "sm_110": "13.0", "sm_120": "13.0", "compute_53": "11.8", "compute_110": "13.0",
}  # fmt: skip


@pytest.mark.parametrize("architecture", RELEASES)
def test_a_kernel_compiles_with_the_same_release_everywhere(architecture: str) -> None:
    done = compile_cuda(SOURCE, architecture)
    assert (done.architecture, done.release) == (architecture, RELEASES[architecture])
    if architecture.startswith("sm_"):
        assert done.content.startswith(b"\x7fELF")
    else:
        assert f".target sm_{architecture.partition('_')[2]}\n" in done.content.decode("ascii")


@pytest.mark.parametrize("architecture", ["sm_53", "sm_87", "sm_120"])
def test_what_the_kernels_take(architecture: str) -> None:
    found = {each.kernel: each for each in compile_cuda(SOURCE, architecture).resources}
    assert {*found} == {*KERNELS}
    assert all(8 <= each.registers <= 64 or each.kernel == "products" for each in found.values())
    assert (found["mirror"].shared, found["products"].shared) == (256, 0)
    assert all((each.stack, each.spilled) == (0, 0) for each in found.values())


@pytest.mark.parametrize("architecture", ["sm_53", "sm_87", "sm_120"])
def test_registers_that_are_spilled_are_seen(architecture: str) -> None:
    (found,) = compile_cuda(CROWDED, architecture).resources
    assert found.kernel == "crowded"
    assert found.registers <= 64
    assert found.stack >= 4 * (96 - 64)  # bytes of the values that no register is left for
    assert found.spilled >= 2 * found.stack  # each of them stored, and loaded again


@pytest.mark.parametrize("architecture", ["sm_87", "sm_110", "compute_72"])
def test_the_same_source_gives_the_same_bytes_also_in_threads(architecture: str) -> None:
    alone = compile_cuda(SOURCE, architecture)
    with ThreadPoolExecutor(4) as threads:
        together = [*threads.map(lambda _: compile_cuda(SOURCE, architecture), range(4))]
    assert {each.content for each in together} == {alone.content}


def test_a_source_that_is_wrong_is_our_fault_and_shows_the_log() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)11\.8's compiler rejects .*kernels\.cu\(2\)"):
        compile_cuda("\nint x = nothing_of_this_name;", "sm_87")


def test_no_header_is_at_hand() -> None:
    with pytest.raises(RuntimeError, match="cuda_fp16"):
        compile_cuda("#include <cuda_fp16.h>\n", "sm_87")


@pytest.mark.parametrize("architecture", ["sm_12", "sm_88", "sm_99", "sm_200"])
def test_an_architecture_that_no_compiler_knows(architecture: str) -> None:
    with pytest.raises(BadInput, match=f"^{architecture} is unknown to CUDA 1.* which has sm_"):
        compile_cuda(SOURCE, architecture)


@pytest.mark.parametrize(
    ("architecture", "line"),
    [
        ("sm_87", "sm_87 needs CUDA 11.8's compiler: pip install nvidia-cuda-nvrtc-cu11==11.8.89"),
        ("compute_72", "compute_72 needs CUDA 11.8's compiler"),
        ("sm_110", "sm_110 needs CUDA 13's compiler: pip install nvidia-cuda-nvrtc==13.0.88"),
    ],
)
def test_a_compiler_that_is_not_installed(
    architecture: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tuple(replace(wheel, path=f"absent/{wheel.path}") for wheel in WHEELS)
    monkeypatch.setattr(nvrtc, "WHEELS", absent)
    with pytest.raises(BadInput) as caught:
        compile_cuda(SOURCE, architecture)
    assert str(caught.value).startswith(line)
    assert str(caught.value).endswith('pip install "edge-passd[cuda]"')


def test_nothing_of_the_environment_is_needed(tmp_path: Path) -> None:
    """No LD_LIBRARY_PATH, no CUDA_HOME, no PATH; and neither TVM nor NVIDIA's packages."""
    root = Path(nvrtc.__file__).parents[2]
    program = (
        "import sys; from targets.gpu.nvrtc import compile_cuda\n"
        "for each in ('sm_120', 'sm_87'): print(len(compile_cuda(sys.stdin.read() or "
        "'extern \"C\" __global__ void a() {}', each).content) > 500)\n"
        "print(sorted({'tvm', 'nvidia', 'torch'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(root)},
        input=SOURCE, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("True\nTrue\n[]\n", "")


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("", ()),
        (
            "ptxas info    : 0 bytes gmem\n"
            "ptxas info    : Compiling entry function 'a1' for 'sm_110'\n"
            "ptxas info    : Function properties for a1\n"
            "ptxas    .    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads\n"
            "ptxas info    : Used 14 registers, used 1 barriers, 48 bytes smem, 392 bytes cmem[0]\n"
            "ptxas info    : Compiling entry function 'b' for 'sm_110'\n"
            "ptxas info    : Used 255 registers\n",
            (Resources("a1", 14, 16, 32, 48), Resources("b", 255, 0, 0, 0)),
        ),
    ],
)
def test_what_a_log_says(log: str, found: tuple[Resources, ...]) -> None:
    assert resources_of(log) == found


@given(st.text() | st.lists(st.sampled_from(
    ["Compiling entry function '", "a", "' for 'sm_87'", "Used ", "7", " registers", " bytes smem"]
)).map("".join))  # fmt: skip
def test_any_log_can_be_read(log: str) -> None:
    assert all(each.registers >= 0 for each in resources_of(log))
