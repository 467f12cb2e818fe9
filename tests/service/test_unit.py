"""The unit, read by systemd itself."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_passd.service.unit import Unit, quote, unit_text
from tests.programs import require_program

UNIT = Unit(
    name="yard",
    command=(sys.executable, "-I", "-m", "edge_passd", "run", "--camera", "0"),
    environment=Path("/etc/edge-passd/yard.env"),
    groups=("video", "render"),
    devices=("char-video4linux", "/dev/dri/renderD128"),
)
UNITS = {
    "plain": UNIT,
    "with a limit": replace(UNIT, memory="1G"),
    "for OpenVINO": replace(UNIT, writes_code=True),
    "for a CSI camera": replace(UNIT, shares_tmp=True),
    "without groups or devices": replace(UNIT, groups=(), devices=()),
}
# Out of 100, as systemd-analyze counts; most services that a system comes with are above 90.
EXPOSURE = 22


def analyze(
    folder: Path, text: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    program = require_program("systemd-analyze")
    file = folder / "yard.service"
    file.write_text(text, encoding="utf-8")
    return subprocess.run(
        [program, *arguments, file],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"SYSTEMD_PAGER": "", **environment},
    )


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    done = analyze(tmp_path, unit_text(UNITS[name]), "verify")
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_have_said_so(tmp_path: Path) -> None:
    wrong = unit_text(UNIT).replace("ProtectHome=yes", "ProtectHouse=yes")
    assert "ProtectHouse" in analyze(tmp_path, wrong, "verify").stderr


@pytest.mark.parametrize("name", UNITS)
def test_exposes_little(name: str, tmp_path: Path) -> None:
    threshold = f"--threshold={EXPOSURE}"
    done = analyze(tmp_path, unit_text(UNITS[name]), "security", "--offline=true", threshold)
    assert done.returncode == 0, done.stdout
    bare = f"[Service]\nExecStart={sys.executable}\n"
    assert analyze(tmp_path, bare, "security", "--offline=true", threshold).returncode != 0


def test_what_a_variant_changes() -> None:
    lines = {name: set(unit_text(unit).splitlines()) for name, unit in UNITS.items()}
    plain = lines["plain"]
    assert lines["with a limit"] - plain == {"MemoryMax=1G"}
    assert lines["for OpenVINO"] - plain == {"MemoryDenyWriteExecute=no"}
    assert lines["for a CSI camera"] - plain == {"PrivateTmp=no"}
    assert lines["without groups or devices"] - plain == set()
    later = set(unit_text(replace(UNIT, systemd=254)).splitlines())
    assert later - plain == {"RestartSteps=6", "RestartMaxDelaySec=5min"}
    assert set(unit_text(replace(UNIT, systemd=253)).splitlines()) == plain


def words_read(folder: Path, words: list[str]) -> list[str]:
    """What systemd makes of them in a command line; it tells when asked to debug."""
    text = unit_text(replace(UNIT, command=(sys.executable, *words)))
    told = analyze(folder, text, "verify", SYSTEMD_LOG_LEVEL="debug").stdout
    (line,) = re.findall(r"Command Line: (.*)", told)
    read = [
        plain or unescape(quoted)
        for quoted, plain in re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', line)
    ]
    assert read[0] == sys.executable
    # Two of them stand for one when the program is started, not before.
    return [word.replace("$$", "$") for word in read[1:]]


def unescape(text: str) -> str:
    """Of systemd's own quoting in what it tells."""
    letters = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "x":
            return chr(int(code[1:], 16))
        if len(code) == 3:
            return chr(int(code, 8))
        return letters.get(code, code)

    return re.sub(r"\\(x[0-9a-f]{2}|[0-7]{3}|.)", character, text)


AWKWARD = [
    *("", " ", "a b", "%h", "100%", "%%", "$HOME", "${HOME}", "$$", "a$", ";", "a;b", "#", "\\"),
    *('"', "'", "\\;", "\\x41", "a\tb", "a\nb", "\x7f\x01", "-", "@a", "!a", "+a", ":a", "*.jpg"),
    *(
        "é ü",
        "犬 🐕",
        "rtsp://cam/a?b=1&c=%20",
        "door:0.1,0.2,0.3,0.4",
        "a\\",
        '\\"',
        "`id`",
        "$(id)",
    ),
]


def test_systemd_reads_the_words_that_were_meant(tmp_path: Path) -> None:
    assert words_read(tmp_path, AWKWARD) == AWKWARD


@pytest.mark.parametrize("seed", range(5))
def test_systemd_reads_any_words(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    letters = "ab %$\\\"';#{}()`\t\n\r\x01\x1b~@!+:-|é犬=[]"
    words = ["".join(chance.choices(letters, k=chance.randint(0, 8))) for _ in range(200)]
    assert words_read(tmp_path, words) == words


@pytest.mark.parametrize("word", ["a\0b", "\udcff"])
def test_what_cannot_stand_in_a_unit(word: str) -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        quote(word)
