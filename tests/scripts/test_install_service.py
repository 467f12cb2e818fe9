"""scripts/install_service as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_passd.cli.main import main
from edge_passd.service.__main__ import service

SCRIPT = Path(__file__).parents[2] / "scripts" / "install_service"
CAMERA = ("--camera", "0")


def run_script(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_dry_run_prints_the_unit(tmp_path: Path) -> None:
    done = run_script("--dry-run", "--name", "yard", "--", *CAMERA, "--json", "a b", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert f'ExecStart={sys.executable} -I -m edge_passd run --camera 0 --json "a b"' in lines
    assert "User=yard" in lines
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_looked_for_where_the_user_is(tmp_path: Path) -> None:
    done = run_script("--dry-run", "--", "none.passd", *CAMERA, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "edge-passd: no such file: none.passd; give a model: .passd, .onnx, .tflite\n"
    )


@pytest.mark.parametrize("arguments", [("--", *CAMERA), ("--remove",)])
def test_needs_root(
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as end:
        main(arguments, service)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "sudo" in told
    assert len(told.splitlines()) == 1


def test_needs_systemd(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("edge_passd.service.__main__.MANAGER", tmp_path / "none")
    with pytest.raises(SystemExit) as end:
        main(("--", *CAMERA), service)
    assert end.value.code == 2
    assert "systemd does not run here" in capsys.readouterr().err


def test_needs_to_be_installed_where_a_service_sees_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("edge_passd.service.__main__.MANAGER", tmp_path)
    monkeypatch.setattr(sys, "executable", "/home/pi/.venv/bin/python")
    with pytest.raises(SystemExit) as end:
        main(("--", *CAMERA), service)
    assert end.value.code == 2
    assert "cannot see /home/pi/.venv/bin/python" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--remove", "--", *CAMERA), ("--dry-run",)])
def test_calls_that_make_no_sense(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments, service)
    assert end.value.code == 2
    assert "Error:" in capsys.readouterr().err
