"""`edge-passd bench --remote` against a real ssh server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_passd.bench.row import read_row
from edge_passd.detector import default_model
from tests.bench.conftest import ANIMALS, CAT_BOX
from tests.remote.conftest import QUICK, Bench
from tests.remote.sshd import Board

Bad = Callable[..., str]
Start = Callable[..., subprocess.Popen[str]]

ENDLESS = ("--engine", "onnxruntime", "--warm-up", "0", "--iterations", "1000000")
HOSTILE = "-rf 'a\" $(touch hacked) ; ü\n"


@pytest.fixture
def hostile(tmp_path: Path, photo: np.ndarray) -> Path:
    """A folder with a model, photos and a data set, under names that are not kind to shells."""
    root = tmp_path / HOSTILE
    (root / "images").mkdir(parents=True)
    shutil.copy(default_model(), root / f"{HOSTILE}.onnx")
    for number in range(12):
        cv2.imwrite(str(root / f"{number}{HOSTILE}.png"), photo)
    cv2.imwrite(str(root / "images" / "-cat ü.png"), photo)
    x1, y1, x2, y2 = CAT_BOX
    box = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [x1, y1, x2 - x1, y2 - y1]}
    document = {
        "images": [{"id": 1, "file_name": "-cat ü.png", "width": 451, "height": 300}],
        "annotations": [box],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(ANIMALS)],
    }
    (root / "val.json").write_text(json.dumps(document))
    return root


def steps(stderr: str, board: Board) -> list[str]:
    """What the board was said to be doing."""
    start = f"{board.name}: "
    return [line.removeprefix(start) for line in stderr.splitlines() if line.startswith(start)]


def test_a_row_from_a_board_is_a_row_from_here(
    board: Board, bench: Bench, hostile: Path, tmp_path: Path
) -> None:
    """Whatever its shell prints, and whatever the files are called."""
    board.rc("echo Welcome", 'printf "no line \\036\\377"', "echo to stderr >&2")
    model = hostile / f"{HOSTILE}.onnx"
    asked = (*QUICK, "--photo", hostile, "--data", hostile, "--", model)
    here = bench("--json", "here.json", *asked)
    assert here.returncode == 0, here.stderr
    there = bench("--remote", "pi", "--baseline", "here.json", "--json", "there.json", *asked)
    assert there.returncode == 0, there.stderr
    ours, theirs = read_row(tmp_path / "here.json"), read_row(tmp_path / "there.json")
    assert theirs.pop("remote") == "pi"
    same = ("file", "model_sha256", "engine", "threads", "protocol", "photos", "versions", "origin")
    assert {key: ours.get(key) for key in same} == {key: theirs.get(key) for key in same}
    assert shape(ours) | {"baseline": None} == shape(theirs) | {"baseline": None}
    assert ours["accuracy"] == theirs["accuracy"]
    assert theirs["baseline"]["AP_difference"]["value"] == 0
    assert "inference" in there.stdout
    said = steps(there.stderr, board)
    assert said[0] == "connecting"
    assert said[-4:] == ["warm-up", "measuring", said[-2], "done"]
    assert not list(board.home.rglob("hacked")) + list(tmp_path.rglob("hacked"))
    assert not list(board.cache.glob("files/.*"))

    again = bench("--remote", "pi", "--json", "-", *asked)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["remote"] == "pi"
    assert not any("copying" in step for step in steps(again.stderr, board))


def shape(row: Any) -> Any:
    """The keys at all levels, without what differs from run to run."""
    return {key: shape(each) for key, each in row.items()} if isinstance(row, dict) else None


def test_boards_at_once_and_one_fails(
    board: Board, other_board: Board, bench: Bench, tmp_path: Path
) -> None:
    shutil.copy(default_model(), tmp_path / "same.onnx")
    other_board.rc("PATH=$HOME/no")
    hosts = ("--remote", "pi", "--remote", "orin", "--remote", "down")
    done = bench("same.onnx", "--against", default_model(), *QUICK, *hosts, "--json", "rows")
    assert done.returncode == 2
    lines = [each for each in done.stderr.splitlines() if each.startswith("edge-passd: ")]
    assert [line.split()[1] for line in lines] == ["orin:", "down:", "2"]
    assert lines[2] == "edge-passd: 2 of 3 boards failed: orin, down"
    rows = {path.stem: read_row(path) for path in (tmp_path / "rows").iterdir()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "pi": "ok", "orin": "failed", "down": "failed",
    }  # fmt: skip
    assert all(row["remote"] == name for name, row in rows.items())
    assert rows["down"]["reason"] in lines[1]
    assert rows["pi"]["against"]["file"] == default_model().name
    assert "on pi" in done.stdout


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("stranger", "it does not take your key"),
        ("unknown", "its host key is not known here"),
        ("changed", "its host key is not the one known here"),
        ("down", "Connection refused"),
    ],
)
def test_boards_that_cannot_be_reached(bad: Bad, host: str, words: str, tmp_path: Path) -> None:
    line = bad(*QUICK, "--remote", host, "--json", "row.json")
    assert line.startswith(f"edge-passd: {host}: ")
    assert words in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rc", "words"),
    [
        (["PATH=$HOME/no"], "no Python 3.10 or newer"),
        (["echo only pictures here", "exit 3"], "it runs no program (exit status 3; it says: only"),
        (["ulimit -f 100"], "File too large"),
        (["rm -rf $HOME/.cache; : > $HOME/.cache"], "Not a directory"),
    ],
)
def test_boards_that_lack_something(
    board: Board, bad: Bad, rc: list[str], words: str, tmp_path: Path
) -> None:
    board.rc(*rc)
    line = bad(default_model(), *QUICK, "--remote", "pi", "--json", "row.json")
    assert words in line
    assert line.startswith("edge-passd: pi: ")
    assert not list(tmp_path.iterdir())
    assert not list(board.cache.glob("files/*"))


def test_an_old_python_is_named(board: Board, bad: Bad) -> None:
    board.program("python3", '[ "$1" = -V ] && echo Python 3.8.10; exit 1')
    assert "(python3 -V: Python 3.8.10)" in bad(*QUICK, "--remote", "pi")


def test_a_newer_python_beside_an_old_one_is_taken(board: Board, bench: Bench) -> None:
    (board.home / "bin" / "python3").rename(board.home / "bin" / "python3.12")
    board.program("python3", "exit 1")
    done = bench(*QUICK, "--remote", "pi")
    assert done.returncode == 0, done.stderr


def test_a_disk_without_room_is_found_before_anything_is_copied(board: Board, bad: Bad) -> None:
    little = "import shutil; shutil.disk_usage = lambda path: shutil._ntuple_diskusage(9, 8, 1)"
    (board.home / "bin" / "usercustomize.py").write_text(little)
    (board.home / "bin" / "sitecustomize.py").write_text(little)
    board.rc("export PYTHONPATH=$HOME/bin")
    line = bad(default_model(), *QUICK, "--remote", "pi")
    assert "no space left on device" in line
    assert "0 MB are free" in line
    assert not list(board.cache.glob("files/*"))


def test_what_bench_says_there_names_the_file_here(board: Board, bad: Bad, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    line = bad("broken.onnx", *QUICK, "--remote", "pi")
    assert line.startswith(
        "edge-passd: pi: bench ends with exit status 2: broken.onnx: onnxruntime"
    )


def test_interrupted(board: Board, start: Start, tmp_path: Path) -> None:
    process = start(*ENDLESS, "--remote", "pi", "--json", "row.json")
    wait_for(process, "pi: measuring")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    board.wait_until_idle()
    assert not list(tmp_path.iterdir())


def test_the_connection_is_cut(board: Board, start: Start, tmp_path: Path) -> None:
    process = start(*ENDLESS, "--remote", "pi", "--json", "row.json")
    wait_for(process, "pi: measuring")
    os.kill(sshd_above(board.processes()[0]), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "edge-passd: pi: the connection was cut while measuring" in err
    board.wait_until_idle()
    assert not list(tmp_path.iterdir())


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stderr is not None
    said = []
    for each in process.stderr:
        said.append(each)
        if each.strip() == line:
            return
    pytest.fail("".join(said))


def sshd_above(pid: int) -> int:
    """The process of the connection that the process belongs to."""
    while True:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition(") ")
        if "(sshd" in name:
            return pid
        pid = int(rest.split()[1])


def test_a_board_without_edge_passd_gets_it(board: Board, bench: Bench, tmp_path: Path) -> None:
    """First without internet, then with what it needs put there by hand."""
    (board.home / "bin" / "edge-passd").unlink()
    board.rc("export PIP_NO_INDEX=1")
    failed = bench(*QUICK, "--remote", "pi")
    assert failed.returncode == 2
    complaint = failed.stderr.splitlines()[-1]
    assert complaint.startswith("edge-passd: pi: pip cannot install '")
    assert f"{board.cache}" in complaint
    assert "--no-index --find-links WHEELS" in complaint
    assert steps(failed.stderr, board)[-2:] == ["installing edge-passd", "failed"]

    libraries = sysconfig.get_paths()["purelib"]
    board.rc("export PIP_NO_INDEX=1", f"export PYTHONPATH='{libraries}' OMP_NUM_THREADS=1")
    done = bench(*QUICK, "--remote", "pi", "--json", "row.json")
    assert done.returncode == 0, done.stderr
    assert read_row(tmp_path / "row.json")["remote"] == "pi"
    assert list(board.cache.glob("*/lib/python3*/site-packages/edge_passd/__init__.py"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--remote", "-oProxyCommand=touch hacked"), "is no host"),
        (("--remote", "user@-host"), "is no host"),
        (("--remote", "a b"), "is no host"),
        (("--remote", ""), "is no host"),
        (("--remote", "me@pi", "--remote", "you@pi"), "pi stands twice"),
        (("--remote", "pi", "--remote", "orin", "--json", "-"), "name a folder"),
        (("--remote", "pi", "nowhere.onnx"), "no such model: nowhere.onnx"),
        (("--remote", "pi", "."), "run folder"),
        (("--remote", "pi", "--photo", "nowhere.jpg"), "no such file: nowhere.jpg"),
        (("--remote", "pi", "--against", "nowhere.onnx"), "no such model: nowhere.onnx"),
        (("--remote", "pi", "--json", "/"), "is a folder"),
        (("--remote", "pi", "--engine", "tflite"), "engine tflite takes"),
        (("--remote", "pi", "--engine", "torch"), "engine torch"),
    ],
)
def test_bad_input_is_one_line(bad: Bad, arguments: tuple[str, ...], words: str) -> None:
    assert words in bad(*arguments)
