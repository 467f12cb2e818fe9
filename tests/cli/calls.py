"""Calls of the command line, as a user's shell makes them or, many of them, in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest

from edge_passd.cli.main import main

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}


def edge_passd(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_passd", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )


def bad(*arguments: object) -> str:
    """The one line that a bad call ends with."""
    done = edge_passd(*arguments)
    return complaint(done.returncode, done.stderr)


def complaint(status: int, stderr: str) -> str:
    assert status == 2, stderr
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith("edge-passd: ")]
    assert len(lines) == 1, stderr
    return lines[0]


@dataclass
class Here:
    """Calls in this process, which has the libraries loaded already."""

    capsys: pytest.CaptureFixture[str]

    def call(self, *arguments: object) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        signal.signal(signal.SIGTERM, handler)
        said = self.capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, said.out, said.err

    def bad(self, *arguments: object) -> str:
        status, _, stderr = self.call(*arguments)
        return complaint(status, stderr)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)
