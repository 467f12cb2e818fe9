"""`edge-passd run`: what it refuses, in one line each, and a help that can be read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from edge_passd.cli.main import main
from tests.serve.fakes import free_port

GROUPS = (
    "What to look at:", "Cameras and streams:", "Model:", "Tracking and counting:", "Outputs:",
    "Page in a browser:", "Messages:", "Limits:",
)  # fmt: skip


def status(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    return (int(ended.value.code or 0), *capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--camera-size", "640"), "'640' is no size; give one like 640x480"),
        (("--camera-size", "0x480"), "is no size"),
        (("--camera-size", "640x480x3"), "is no size"),
        (("--json-rotate", "0"), "'0' is no amount of bytes; give one like 10MB"),
        (("--json-rotate", "tenMB"), "is no amount of bytes"),
        (("--json-rotate", "-5"), "is no amount of bytes"),
        (("--json-keep", "-1"), "--json-keep"),
        (("--duration", "0"), "--duration"),
        (("--duration", "nan"), "--duration"),
        (("--conf", "nan"), "--conf"),
        (("--max-fps", "inf"), "--max-fps"),
        (("--max-fps", "-1"), "--max-fps"),
        (("--timeout", "0"), "--timeout"),
        (("--serve", "99999"), "--serve"),
        (("--json-rotate", "10MB"), "give --json FILE too"),
        (("--json", "-", "--json-rotate", "10 kb"), "only a file can be rotated"),
        (("--line", "a:0,0,1,1"), "give --track too"),
        (("--track", "--line", "a:0,0"), "give NAME:x1,y1,x2,y2"),
        (("--mqtt", "mqtt://me:hidden@broker"), "which topic?"),
        (("--webhook", "broker/x"), "no web address"),
        (("--serve", "8080", "--token-file", "none"), "no such file: none"),
    ],
)
def test_each_bad_wish_is_one_line(
    capsys: pytest.CaptureFixture[str], photo_file: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    code, out, err = status(capsys, "run", "--source", photo_file, *arguments)
    assert code == 2
    assert complaint in err
    assert "Traceback" not in err
    assert "hidden" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("token", "said"),
    [(None, r"live at http://[^/ ]+:{port}/\?token=[\w-]{{32}}\n"), ("x" * 20, r"[^/ ]:{port}/\n")],
)
def test_a_page_for_others_has_a_token_of_its_own_or_the_one_given(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    photo_file: Path,
    token: str | None,
    said: str,
) -> None:
    if token:
        monkeypatch.setenv("EDGE_PASSD_TOKEN", token)
    port = free_port()
    arguments = ("--serve", port, "--host", "0.0.0.0", "--max-frames", "1")
    code, out, _ = status(capsys, "run", "--source", photo_file, *arguments)
    assert code == 0
    assert re.search(said.format(port=port), out)
    assert "x" * 20 not in out


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (("--mqtt", "mqtt://broker/yard"), "paho.mqtt.client"),
        (("--webhook", "http://127.0.0.1/x"), "urllib3"),
    ],
)
def test_what_is_not_installed_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    photo_file: Path,
    arguments: tuple[str, ...],
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = status(capsys, "run", "--source", photo_file, *arguments)
    assert code == 2
    (line,) = err.splitlines()
    assert 'pip install "edge-passd[live]"' in line


def test_the_help_has_groups_and_names_no_argument_as_an_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = status(capsys, "run", "--help")
    assert code == 0
    places = [out.index(f"\n{group}\n") for group in GROUPS]
    assert places == sorted(set(places), key=places.index)
    assert "\n  [MODEL]" not in out
    assert out.index("\nOther:\n") > max(places)
