"""Both sides hear from each other, or end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

from edge_passd.remote import session
from edge_passd.remote.host import Host
from tests.remote.sshd import Board, Server

# A board where nothing is installed.
HELLO = {
    "wheel": "none",
    "digest": "any",
    "requirements": [],
    "parcels": [],
    "installed": "print('{}')",
}
FIRST = {"do": "look", "word": "", **HELLO}
SLEEPER = """#!/bin/sh
echo one >&2
exec sleep 60
"""


@pytest.fixture
def hasty_helper(tmp_path: Path) -> Path:
    """The helper, which waits two seconds for a sign of life."""
    text = session.HELPER.read_text()
    path = tmp_path / "helper.py"
    path.write_text(text.replace("SILENCE_S = 60", "SILENCE_S = 2"))
    assert path.read_text() != text
    return path


def test_a_long_measurement_goes_on_while_we_live(
    server: Server, board: Board, hasty_helper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", server.environment["PATH"])
    monkeypatch.setattr(session, "HELPER", hasty_helper)
    monkeypatch.setattr(session, "BEAT_S", 0.3)
    board.program(
        "talker", "for i in 1 2 3 4 5 6 7; do echo $i >&2; /bin/sleep 0.5; done; echo row"
    )
    heard = []
    with session.Session(Host("pi", "pi"), Event()) as opened:
        opened.ask("look", HELLO)
        python = str(board.home / "bin" / "talker")
        answer = opened.ask("bench", {"python": python, "arguments": []}, heard=heard.append)
    assert heard == [*"1234567"]
    assert (answer["status"], answer["out"]) == (0, "row\n")


def test_the_helper_ends_when_it_hears_nothing(hasty_helper: Path, tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text(SLEEPER)
    sleeper.chmod(0o755)
    requests = [FIRST, {"do": "bench", "python": str(sleeper), "arguments": []}]
    environment = {"HOME": str(tmp_path), "PATH": "/nowhere"}
    with subprocess.Popen(
        [sys.executable, hasty_helper],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        for request in requests:
            helper.stdin.write(json.dumps(request) + "\n")
            helper.stdin.flush()
        assert json.loads(helper.stdout.readline()) == {"line": "hello"}
        assert json.loads(helper.stdout.readline())["answer"]["have"] == []
        assert json.loads(helper.stdout.readline()) == {"line": "one"}
        assert helper.wait(20) == 1
    give_up = time.monotonic() + 10
    while Board("", tmp_path).processes():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_the_other_side_breaks_off_in_the_middle_of_a_copy(
    hasty_helper: Path, tmp_path: Path
) -> None:
    receive = {"do": "receive", "digest": "d", "entries": [["model", 100, "0" * 64]]}
    done = subprocess.run(
        [sys.executable, hasty_helper],
        input=f"{json.dumps(FIRST)}\n{json.dumps(receive)}\nonly the start".encode(),
        capture_output=True,
        env={"HOME": str(tmp_path)},
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr == b""
    assert list((tmp_path / ".cache" / "edge-passd" / "remote" / "files").iterdir()) == []


def test_what_was_damaged_on_the_way_is_refused(tmp_path: Path) -> None:
    receive = {"do": "receive", "digest": "d", "entries": [["model", 4, "0" * 64]]}
    done = subprocess.run(
        [sys.executable, session.HELPER],
        input=f"{json.dumps(FIRST)}\n{json.dumps(receive)}\nbits".encode(),
        capture_output=True,
        env={"HOME": str(tmp_path)},
        timeout=30,
    )
    assert "model changed or was damaged" in json.loads(done.stdout.splitlines()[-1])["error"]
    assert list((tmp_path / ".cache" / "edge-passd" / "remote" / "files").iterdir()) == []
