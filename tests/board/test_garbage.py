"""Whatever the files hold, or while they come and go: no exception, and no figure made of it."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.board import Sampler, identify, read_clocks, summarise
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, build

CONTENTS = st.one_of(
    st.sampled_from([b"", b"\n", b"\0", b"nan", b"-1", b"1e999", b"0", b"9" * 5000, b"\xff\xfe"]),
    st.integers(-(10**18), 10**18).map(lambda number: str(number).encode()),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
MISSING, A_FOLDER = "missing", "a folder"
CHANGES = st.one_of(CONTENTS, st.sampled_from([MISSING, A_FOLDER]))


def look_at_all(root: Path) -> None:
    """Read all there is, and check what must hold of it."""
    row = {"board": identify(root).to_dict(), "clocks": read_clocks(root).to_dict()}
    with Sampler(root, interval_s=3600) as sampler:
        pass
    summary = summarise(sampler.record, frames=10)
    row |= summary.to_dict() | {"timeline": sampler.record.timeline()}
    text = json.dumps(row, allow_nan=False)
    assert json.loads(text) == row
    text.encode("utf-8")
    power, thermal = summary.power, summary.thermal
    assert (power.status == "measured") == (power.mean_w is not None)
    assert power.mean_w is None or 0 < power.mean_w < 10_000
    assert "\n" not in power.status + thermal.throttling.reason
    assert thermal.throttling.state in ("yes", "no", "unknown")
    for celsius in (thermal.start_c, thermal.end_c, thermal.max_c):
        assert celsius is None or -40 < celsius < 150
    for mhz in (thermal.cpu_mhz_min, thermal.cpu_mhz_max, thermal.gpu_mhz_min):
        assert mhz is None or mhz > 0


def change(path: Path, wanted: bytes | str) -> None:
    """Make a file hold `wanted`, or be MISSING or A_FOLDER."""
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    if isinstance(wanted, bytes):
        path.write_bytes(wanted)
    elif wanted == A_FOLDER:
        path.mkdir()


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tree for each board; who changes one puts it back."""
    return {name: build(tmp_path_factory.mktemp("root"), tree) for name, tree in BOARDS.items()}


@settings(max_examples=100)
@given(data=st.data())
def test_files_may_hold_anything(data: st.DataObject, roots: dict[str, Path]) -> None:
    board = data.draw(st.sampled_from(sorted(BOARDS)), "board")
    paths = st.sampled_from(sorted(BOARDS[board]))
    changes = data.draw(st.dictionaries(paths, CHANGES, min_size=1, max_size=20), "changes")
    try:
        for path, wanted in changes.items():
            change(roots[board] / path, wanted)
        look_at_all(roots[board])
    finally:
        for path in changes:
            change(roots[board] / path, BOARDS[board][path].encode())


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("content", ["", "\0\0\0", "-1", "\udcff"])
def test_all_files_may_hold_the_same(board: str, content: str, tmp_path: Path) -> None:
    for path in BOARDS[board]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content.encode("utf-8", "surrogateescape"))
    look_at_all(tmp_path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENODEV, errno.EAGAIN])
def test_files_may_vanish_while_they_are_read(
    number: int, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [machine(board) for board in BOARDS]
    read, dice = os.read, random.Random(number)

    def failing(descriptor: int, count: int) -> bytes:
        if dice.random() < 0.3:
            raise OSError(number, os.strerror(number))
        return read(descriptor, count)

    monkeypatch.setattr("edge_passd.board.sysfs.os.read", failing)
    for root in roots:
        for _ in range(5):
            look_at_all(root)


@pytest.mark.parametrize("board", BOARDS)
def test_a_machine_may_come_and_go_while_it_is_watched(board: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    samples_wanted = 40
    build(root, BOARDS[board])
    with Sampler(root, interval_s=0.0005) as sampler:
        while len(sampler.samples) < samples_wanted:
            shutil.rmtree(root)
            threading.Event().wait(0.001)
            build(root, BOARDS[board])
    summary = summarise(sampler.record, frames=10)
    json.dumps(summary.to_dict(), allow_nan=False)
    assert summary.power.mean_w is None or summary.power.mean_w > 0


def test_a_file_without_end_is_not_read_to_it(machine: Machine) -> None:
    root = machine("PC", {"proc/cpuinfo": None, "proc/meminfo": None})
    (root / "proc/cpuinfo").symlink_to("/dev/zero")
    (root / "proc/meminfo").symlink_to("/dev/urandom")
    assert identify(root).memory_bytes is None
