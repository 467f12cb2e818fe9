"""Boards to measure on, and the command that measures there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.calls import complaint
from tests.remote.sshd import Board, Server, serve

QUICK = ("--engine", "onnxruntime", "--threads", "1", "--warm-up", "0", "--iterations", "3")
QUICK = (*QUICK, "--seconds", "0")

Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def board(server: Server) -> Iterator[Board]:
    """A board as new; after the test nothing may run on it."""
    yield _as_new(server, "pi")
    server.boards["pi"].wait_until_idle()


@pytest.fixture
def other_board(server: Server) -> Iterator[Board]:
    yield _as_new(server, "orin")
    server.boards["orin"].wait_until_idle()


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `edge-passd bench` with arguments; it ends with the test."""
    started = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "edge_passd", "bench", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=server.environment,
                cwd=tmp_path,
            )
        )
        return started[-1]

    yield start
    for each in started:
        if each.poll() is None:
            each.send_signal(signal.SIGKILL)
        each.communicate()


@pytest.fixture
def bench(start: Callable[..., subprocess.Popen[str]]) -> Bench:
    """Call `edge-passd bench` with arguments."""

    def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
        process = start(*arguments)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return bench


@pytest.fixture
def bad(bench: Bench) -> Callable[..., str]:
    """The one line that a bad call ends with."""

    def bad(*arguments: object) -> str:
        done = bench(*arguments)
        return complaint(done.returncode, done.stderr)

    return bad


def _as_new(server: Server, name: str) -> Board:
    board = server.boards[name]
    board.reset()
    return board
