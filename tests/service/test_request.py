from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from edge_passd.errors import BadInput
from edge_passd.service.request import Request, hidden, parse, to_unit

CAMERA = ("--camera", "0")


def test_a_model_and_options(cpu_bundle: Path) -> None:
    asked = parse("yard", "512M", (str(cpu_bundle), *CAMERA, "--serve", "8080"))
    assert asked == Request("yard", "512M", cpu_bundle, (*CAMERA, "--serve", "8080"))


def test_without_a_model_the_one_in_the_package_runs() -> None:
    assert parse("yard", None, CAMERA) == Request("yard", None, None, CAMERA)


BAD_OPTIONS = {
    "no source": (("--serve", "8080"), "either --source or --camera"),
    "two sources": ((*CAMERA, "--source", "x.mp4"), "either --source or --camera"),
    "an unknown option": ((*CAMERA, "--shov"), "--shov"),
    "a value that is none": (("--camera", "first"), "first"),
    "standard input": (("--source", "-"), "no standard input"),
    "a window": ((*CAMERA, "--show"), "no screen"),
    "a low port": ((*CAMERA, "--serve", "80"), "from 1024 on"),
    "a token's file": ((*CAMERA, "--token-file", "token"), "/etc/edge-passd/yard.env"),
    "a password": ((*CAMERA, "--mqtt", "mqtt://me:secret@broker/t"), "/etc/edge-passd/yard.env"),
    "no UTF-8": ((*CAMERA, "--json", "\udcff.jsonl"), "UTF-8"),
    "the model last": ((*CAMERA, "model.passd"), "the model must come first"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_what_would_not_run_as_a_service(name: str) -> None:
    options, told = BAD_OPTIONS[name]
    with pytest.raises((BadInput, click.UsageError), match=told) as caught:
        parse("yard", None, options)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["", "Yard", "a b", "-a", "9a", "a/b", "../a", "a" * 32, "hündin"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(BadInput, match="--name"):
        parse(name, None, CAMERA)


@pytest.mark.parametrize("memory", ["", "0", "lots", "1.5G", "-1G", "1G\nUser=root", "100%", "1 G"])
def test_amounts_of_memory_that_are_none(memory: str) -> None:
    with pytest.raises(BadInput, match="--memory"):
        parse("yard", memory, CAMERA)


def test_models_that_are_none(tmp_path: Path, cpu_bundle: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        parse("yard", None, (str(tmp_path / "none.passd"), *CAMERA))
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(BadInput, match="is no model file"):
        parse("yard", None, (str(tmp_path / "notes.txt"), *CAMERA))
    whole = cpu_bundle.read_bytes()
    cpu_bundle.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=cpu_bundle.name):
        to_unit(parse("yard", None, (str(cpu_bundle), *CAMERA)), 252, (), Path("/dev"))


def test_the_unit_runs_the_copy_of_the_model(cpu_bundle: Path, tmp_path: Path) -> None:
    asked = parse("yard", "1G", (str(cpu_bundle), *CAMERA))
    unit = to_unit(asked, 252, ("adm", "video"), tmp_path)
    copy = "/usr/local/lib/edge-passd/yard/my pc.passd"
    assert unit.command == (sys.executable, "-I", "-m", "edge_passd", "run", copy, *CAMERA)
    assert unit.groups == ("video",)
    assert (unit.memory, unit.systemd) == ("1G", 252)


def test_a_service_gets_the_devices_it_needs(
    cpu_bundle: Path, gpu_bundle: Path, tmp_path: Path
) -> None:
    devices = tmp_path / "dev"
    for name in ("nvmap", "nvhost-gpu", "nvgpu/igpu0/ctrl", "dri/renderD128", "sda", "mem"):
        (devices / name).parent.mkdir(parents=True, exist_ok=True)
        (devices / name).touch()

    def unit(*arguments: object) -> tuple[set[str], bool, bool]:
        made = to_unit(parse("yard", None, tuple(map(str, arguments))), 252, (), devices)
        return set(made.devices), made.writes_code, made.shares_tmp

    camera = {"char-video4linux", "char-media", "char-vcio"}
    gpu = {f"/dev/{each}" for each in ("nvmap", "nvhost-gpu", "nvgpu/igpu0/ctrl")}
    gpu.add("/dev/dri/renderD128")
    csi = "--source", "csi://0"
    assert unit(cpu_bundle, *CAMERA) == (camera, False, False)
    assert unit(gpu_bundle, *CAMERA) == (camera | gpu, True, False)
    assert unit(cpu_bundle, *csi) == (camera | gpu | {"char-dma_heap"}, True, True)
    assert unit(*CAMERA) == (camera, True, False)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/opt/edge-passd/bin/python", True),
        ("/usr/bin/python3", True),
        ("/homestead/python", True),
        ("/home/pi/.venv/bin/python", False),
        (Path("/root", "python"), False),
        ("/run/user/1000/python", False),
    ],
)
def test_what_a_service_sees(path: str | Path, seen: bool) -> None:
    assert (hidden([Path("/usr/bin/env"), Path(path)]) is None) == seen
