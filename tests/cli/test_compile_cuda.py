"""`compile --target cuda` as a user runs it, on a machine without a GPU."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from edge_passd.bundle import CudaPlan, read_bundle
from edge_passd.bundle.machine import GPU, elf_machine
from edge_passd.detector import default_model
from edge_passd.engines.cuda_driver import this_gpu
from edge_passd.errors import BadInput
from tests.cli.calls import Here, bad
from tests.cli.test_compile import OnePixelOff, Refusal

pytest.importorskip("tvm")

from targets import gate
from targets.cuda import BOARDS
from targets.gpu import nvrtc

EMULATED = f"the kernels, emulated on this {platform.machine()},"


@pytest.fixture
def refusal(here: Here, tmp_path: Path) -> Refusal:
    return Refusal(here, tmp_path)


def has_gpu() -> bool:
    try:
        this_gpu()
    except BadInput:
        return False
    return True


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_from_a_model_to_a_bundle_for_any_jetson(
    here: Here, photo_file: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "new" / "animals.passd"
    arguments = ("--target", "cuda", "-o", bundle, "--photos", photo_file)
    status, said, log = here.call("compile", default_model(), *arguments)
    assert (status, log) == (0, "")
    said = " ".join(said.split())
    assert "int8, 100% of the multiplications on integers" in said
    assert f"{EMULATED} on 1 pictures" in said
    assert "100.0% of " in said
    assert [*bundle.parent.iterdir()] == [bundle]

    status, text, _ = here.call("inspect", bundle, "--json")
    manifest = json.loads(text)
    assert (status, manifest["target"]["kind"]) == (0, "cuda")
    assert manifest["target"]["cpu"] == "sm_72+sm_87+compute_72"
    (record,) = manifest["parity"]
    assert (record["photos"], record["ran"], record["matched"]) == (1, EMULATED, 1.0)
    assert record["detections"] > 0
    assert sum(operator["macs"] for operator in manifest["operators"]) > 1e9
    assert all(operator["bytes"] > 0 for operator in manifest["operators"])

    # Nothing in it is a library that would want another one, such as a CUDA runtime.
    machines = {name: elf_machine(content) for name, content in read_bundle(bundle).files.items()}
    assert {name for name, machine in machines.items() if machine == GPU} == {
        "kernels.sm_72.cubin", "kernels.sm_87.cubin"
    }  # fmt: skip
    assert {*machines.values()} == {GPU, None}
    line = bad("run", bundle, "--source", photo_file)
    assert "no CUDA driver" in line
    assert "--engine onnxruntime" in line


@pytest.mark.parametrize(
    ("options", "precision"),
    [((), "fp16"), (("--precision", "fp16"), "fp16"), (("--precision", "fp32"), "fp32")],
)
def test_a_float_model_becomes_fp16_or_fp32(
    options: tuple[str, ...],
    precision: str,
    here: Here,
    small_onnx: Path,
    photo_file: Path,
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "small.passd"
    arguments = ("--target", "cuda", "--board", "jetson-nano", "-o", bundle, *options)
    status, said, log = here.call("compile", small_onnx, *arguments, "--photos", photo_file)
    assert (status, log) == (0, "")
    assert f"for jetson-nano (Maxwell, JetPack 4), {precision}, 0% of the" in " ".join(said.split())
    manifest = read_bundle(bundle).manifest
    assert (manifest.precision, manifest.target.board) == (precision, "jetson-nano")


def test_a_dump_shows_every_stage(
    here: Here, small_onnx: Path, photo_file: Path, tmp_path: Path
) -> None:
    bundle, dump = tmp_path / "small.passd", tmp_path / "dump"
    arguments = ("--target", "cuda", "--board", "jetson-orin-nano", "--dump", dump, "-o", bundle)
    status, _, log = here.call("compile", small_onnx, *arguments, "--photos", photo_file)
    assert (status, log) == (0, "")
    plan = read_bundle(bundle).manifest.plan
    assert isinstance(plan, CudaPlan)
    names = [launch.kernel for launch in plan.launches]
    for file in ("module.py", "kernels.cu", "kernels.compute_87.ptx", "kernels.sm_87.sass"):
        text = (dump / file).read_text()
        assert all(name in text for name in names), file
    lines = (dump / "resources.sm_87.txt").read_text().splitlines()
    assert {line.split()[0] for line in lines} == {*names}
    assert all(" 0 bytes spilled" in line for line in lines)
    assert any("HMMA" in line for line in lines)
    assert f"workspace: {plan.workspace_bytes} bytes" in (dump / "plan.txt").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--board", "toaster"), f"no board 'toaster'; there are {', '.join(BOARDS)} and native"),
        (("--board", "raspberry-pi-5"), "no board 'raspberry-pi-5'; there are jetson-nano, "),
        (("--precision", "int8"), "is fp32, which compiling does not change to int8"),
        (("--photos", "none.jpg"), "none.jpg"),
    ],
)
def test_options_that_are_refused(
    options: tuple[str, ...], words: str, refusal: Refusal, small_onnx: Path, tmp_path: Path
) -> None:
    line = refusal(small_onnx, "--target", "cuda", "-o", tmp_path / "m.passd", *options)
    assert words in line


def test_an_int8_model_does_not_become_fp16(refusal: Refusal, tmp_path: Path) -> None:
    options = ("--target", "cuda", "--precision", "fp16", "-o", tmp_path / "m.passd")
    line = refusal(default_model(), *options)
    assert "is int8, which compiling does not change to fp16; export a float run" in line


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_native_needs_a_gpu(refusal: Refusal, small_onnx: Path, tmp_path: Path) -> None:
    options = ("--target", "cuda", "--board", "native", "-o", tmp_path / "m.passd")
    assert "no CUDA driver" in refusal(small_onnx, *options)


@pytest.mark.parametrize(
    ("board", "architecture", "wheel"),
    [
        ("jetson-orin-nano", "sm_87", "nvidia-cuda-nvrtc-cu11==11.8.89"),
        ("jetson-thor", "sm_110", "nvidia-cuda-nvrtc==13.0.88"),
    ],
)
def test_a_missing_cuda_compiler_is_named_with_its_wheel(
    board: str,
    architecture: str,
    wheel: str,
    refusal: Refusal,
    small_onnx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvrtc, "_load", lambda path: None)
    options = ("--target", "cuda", "--board", board, "-o", tmp_path / "m.passd")
    line = refusal(small_onnx, *options)
    assert f"{architecture} needs CUDA " in line
    assert f"pip install {wheel}" in line


def test_kernels_that_compute_something_else_replace_nothing(
    refusal: Refusal,
    small_onnx: Path,
    photo_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "Reference", OnePixelOff)
    bundle = tmp_path / "m.passd"
    bundle.write_bytes(b"the last one")
    options = ("--precision", "fp32", "--photos", photo_file, "-o", bundle)
    line = refusal(small_onnx, "--target", "cuda", *options)
    assert "output 'boxes' differs by 1 px (limit " in line
    assert "nothing was written" in line
