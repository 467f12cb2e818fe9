"""CUDA bundles as files: written, read, shown, and never mistaken for one of another kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_passd.bundle import Plan, TargetInfo, read_bundle, read_manifest, write_bundle
from edge_passd.bundle.machine import GPU, Machine, check_machine, elf_machine, ptx_target
from edge_passd.engines.cuda import CudaEngine
from edge_passd.engines.table import choose, load_engine
from edge_passd.engines.tvm import TvmEngine
from edge_passd.errors import BadInput
from tests.cli.calls import Here, here
from tests.engines.toy_bundle import CUBIN, MANIFEST, PTX, cubin, files, ptx, toy_bundle

__all__ = ["here"]

X86_64, AARCH64 = 62, 183


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return toy_bundle(tmp_path / "toy.passd")


def test_what_is_written_is_read(toy: Path, tmp_path: Path) -> None:
    bundle = read_bundle(toy)
    assert bundle.files == files()
    assert replace(bundle.manifest, files={}) == MANIFEST
    assert read_manifest(toy) == bundle.manifest
    assert toy_bundle(tmp_path / "again.passd").read_bytes() == toy.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        (CUBIN.file, cubin(machine=X86_64), "is for x86_64, its manifest says a GPU"),
        (
            CUBIN.file,
            b"__global__ void f();",
            "is no compiled code, its manifest says a GPU",
        ),
        (CUBIN.file, ptx(), "is no compiled code, its manifest says a GPU"),
        (CUBIN.file, b"", "is no compiled code, its manifest says a GPU"),
        (PTX.file, cubin(), "is no compiled code, its manifest says compute_72 in PTX 6.5"),
        (PTX.file, b"// .version 6.5", "is no compiled code, its manifest says compute_72 in PTX"),
        (PTX.file, ptx(image=replace(PTX, architecture="compute_87")), "is for compute_87 in PTX"),
        (PTX.file, ptx(image=replace(PTX, ptx_version="7.8")), "is for compute_72 in PTX 7.8, its"),
    ],
)
def test_code_that_is_not_what_the_manifest_says_is_not_written(
    tmp_path: Path, name: str, content: bytes, wanted: str
) -> None:
    with pytest.raises(BadInput) as error:
        toy_bundle(tmp_path / "m.passd", {name: content})
    assert f"{name} {wanted}" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_code_says_what_it_is_for() -> None:
    assert elf_machine(cubin()) == GPU
    assert elf_machine(cubin(machine=AARCH64)) == "aarch64"
    assert ptx_target(ptx()) == "compute_72 in PTX 6.5"
    assert ptx_target(b"\n" * 5000 + ptx()) is None


def test_only_the_manifest_is_needed_to_choose_an_engine(toy: Path) -> None:
    whole = toy.read_bytes()
    toy.write_bytes(whole.replace(b".version 6.5", b".version 6.6"))
    assert choose(toy) == "cuda"
    with pytest.raises(BadInput, match=r"sha256 of kernels\.compute_72\.ptx is another|CRC"):
        load_engine(toy)


def test_other_engines_are_refused(here: Here, toy: Path, photo_file: Path) -> None:
    wanted = (
        f"{toy} is compiled for cuda, engine tvm runs bundles for arm and x86; use --engine cuda"
    )
    for refuses in (lambda: load_engine(toy, "tvm"), lambda: TvmEngine(toy)):
        with pytest.raises(BadInput) as error:
            refuses()
        assert str(error.value) == wanted
    line = here.bad("run", toy, "--source", photo_file, "--engine", "tvm")
    assert line == f"edge-passd: {wanted}"
    line = here.bad("run", toy, "--source", photo_file, "--engine", "openvino")
    assert line.endswith("engine openvino takes .onnx; use --engine cuda")


def test_a_bundle_for_a_processor_is_none_for_the_gpu(tmp_path: Path) -> None:
    path = tmp_path / "pc.passd"
    target = TargetInfo("x86", "x86-64-v3", "x86_64-linux-gnu", "x86_64", "haswell", ("avx2",))
    plan = Plan("model.so", "constants.bin", (), workspace_bytes=12, boxes=3, classes=4)
    content = {"model.so": cubin(machine=X86_64), "constants.bin": bytes(12)}
    write_bundle(path, replace(MANIFEST, target=target, plan=plan), content)
    assert choose(path) == "tvm"
    for refuses in (lambda: load_engine(path, "cuda"), lambda: CudaEngine(path)):
        with pytest.raises(BadInput, match="engine cuda runs bundles for cuda; use --engine tvm"):
            refuses()


@pytest.mark.parametrize("machine", ["aarch64", "x86_64", "riscv64"])
def test_any_processor_with_linux_and_64_bits_will_do(machine: str) -> None:
    here = Machine("Linux", machine, 64, "", None)
    check_machine(MANIFEST.target, here, "m.passd")
    with pytest.raises(BadInput, match=r"is for Linux \(jetson-orin-nano\), this machine is Darw"):
        check_machine(MANIFEST.target, replace(here, system="Darwin"), "m.passd")
    with pytest.raises(BadInput, match="this Python has 32 bits"):
        check_machine(MANIFEST.target, replace(here, bits=32), "m.passd")


def test_the_tables_tell_what_is_in_it(
    here: Here, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    status, text, stderr = here.call("inspect", toy)
    assert (status, stderr) == (0, "")
    for words in (
        "cuda: jetson-orin-nano", "sm_87+compute_72, nvptx64-nvidia-cuda", "an NVIDIA driver",
        "kernels.sm_87.cubin", "machine code", "CUDA 11.8", "CUDA 11.0 or newer",
        "kernels.compute_72.ptx", "compute_72 and newer", "PTX 6.5", "CUDA 10.2 or newer",
        "means of the channels", "3 of 128",
    ):  # fmt: skip
        assert words in text, words
