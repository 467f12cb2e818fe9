"""Runs ARM programs on this machine, on a processor that QEMU emulates, and counts instructions.

`scripts/setup_arm` makes what it needs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arm.mark import MARK
from edge_passd.errors import BadInput

# With the dot product of the ARM v8.2 extensions and without (Raspberry Pi 5 and 4); with all that
# QEMU knows, i8mm too.
CPUS = ("cortex-a76", "cortex-a72", "max")

ROOT = Path(__file__).parents[2]
_ARM = ROOT / ".arm"
_COUNTER = _ARM / "count_instructions.so"
_PATIENCE = 600  # seconds


@dataclass(frozen=True)
class Finished:
    """A program that has ended. status: as of subprocess, negative for a signal.

    counts: instructions executed until each `mark.mark()` and at last until the end; where nothing
    was counted, there are none.
    """

    status: int
    stdout: str
    stderr: str
    counts: tuple[int, ...] = ()


def missing() -> str | None:
    """Why nothing can be run here, or None if it can."""
    if (_ARM / "installed").is_file():
        return None
    return "no emulated ARM system: run scripts/setup_arm"


def cannot_count() -> str | None:
    """Why instructions cannot be counted here, or None if they can."""
    if _COUNTER.is_file():
        return missing()
    return missing() or "this machine's QEMU takes no plugins: it cannot count instructions"


def run_python(
    arguments: Sequence[str | Path],
    cpu: str = CPUS[0],
    count: bool = False,
    check: bool = True,
) -> Finished:
    """Run the ARM system's Python, which has this project's packages and the engines for ARM.

    arguments: Python's own. Everything else as `run`.
    """
    return run([_ARM / cpu / "usr" / "bin" / "python3", *arguments], cpu, count, check)


def run(
    command: Sequence[str | Path],
    cpu: str = CPUS[0],
    count: bool = False,
    check: bool = True,
) -> Finished:
    """Run an ARM program to its end, with one thread for each library that has threads of its own.

    cpu: one of `CPUS`. count: count the instructions that it executes. check: a program that ends
    with another status than 0 raises ChildProcessError with the last line of its stderr.
    Raises BadInput where `scripts/setup_arm` has not run or the counter does not work.
    """
    if reason := cannot_count() if count else missing():
        raise BadInput(reason)
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        plugin = ["-plugin", f"{_COUNTER},out={counts},mark={MARK}"] if count else []
        qemu: list[str | Path] = ["qemu-aarch64", "-cpu", cpu, "-L", _ARM / cpu, *plugin]
        done = subprocess.run(
            [*qemu, *command],
            env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PATIENCE,
        )  # fmt: skip
        numbers = tuple(map(int, counts.read_text().split())) if count else ()
    if check and done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise ChildProcessError(f"{command[0]} ended with status {done.returncode}: {last}")
    return Finished(done.returncode, done.stdout, done.stderr, numbers)


def _environment() -> dict[str, str]:
    # What is set for this machine's Python and loader would lead the other ones astray.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LD_", "QEMU_"))}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "scripts", _ARM / "site"))),
        "PYTHONHASHSEED": "0",  # the order of sets changes how much is executed
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
