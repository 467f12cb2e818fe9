from __future__ import annotations

import signal
from pathlib import Path

import pytest

from arm import emulator
from arm.emulator import CPUS, run, run_python
from edge_passd.errors import BadInput
from tests.arm.conftest import CrossCompile

MACHINE = """
import os, platform
features = [line for line in open("/proc/cpuinfo") if line.startswith("Features")]
print(platform.machine(), os.cpu_count(), features[0])
"""

# The instruction that the two processors differ in.
DOT_PRODUCT = """
int main(void) { __asm__ volatile("sdot v0.4s, v1.16b, v2.16b"); return 0; }
"""

# Two instructions each turn, and a few.
SPIN = """
#include <stdlib.h>
void spin(long turns) {
    __asm__ volatile("1: subs %0, %0, #1\\n b.ne 1b" : "+r"(turns) : : "cc");
}
int main(int count, char **arguments) {
    spin(atol(arguments[1]));
    return 0;
}
"""

# Marks before, between and after 1000 and 3000 turns.
MARKS = """
import ctypes, sys
from arm.mark import mark
spin = ctypes.CDLL(sys.argv[1]).spin
mark()
spin(1000); mark()
spin(3000); mark()
"""


@pytest.mark.parametrize(("cpu", "has_dot_product"), [("cortex-a76", True), ("cortex-a72", False)])
def test_python_sees_the_board(cpu: str, has_dot_product: bool) -> None:
    machine, cores, *features = run_python(["-c", MACHINE], cpu).stdout.split()
    assert (machine, cores) == ("aarch64", "1")
    assert "asimd" in features
    assert ("asimddp" in features) is has_dot_product


def test_a_processor_refuses_what_it_has_not(cross_compile: CrossCompile) -> None:
    program = cross_compile(DOT_PRODUCT, "-march=armv8.2-a+dotprod")
    assert run([program], "cortex-a76").status == 0
    assert run([program], "cortex-a72", check=False).status == -signal.SIGILL


def test_every_processor_has_a_description() -> None:
    descriptions = (emulator.ROOT / "scripts" / "arm").glob("*.cpuinfo")
    assert {each.stem for each in descriptions} == set(CPUS)


def test_a_program_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ChildProcessError, match=r"status 1: ValueError: no such thing$"):
        run_python(["-c", "raise ValueError('no such thing')"])
    finished = run_python(["-c", "import sys; print('out'); sys.exit(3)"], check=False)
    assert (finished.status, finished.stdout, finished.stderr) == (3, "out\n", "")


def test_the_settings_of_the_host_python_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/host")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/the/host")
    shown = run_python(["-c", "import os, sys; print(sys.path, dict(os.environ))"]).stdout
    assert "/of/the/host" not in shown
    assert str(emulator.ROOT) in shown


def test_without_the_system_the_error_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(emulator, "_ARM", tmp_path)
    with pytest.raises(BadInput, match="run scripts/setup_arm"):
        run_python(["-c", ""])


@pytest.mark.usefixtures("_counter")
def test_instructions_are_counted_exactly(cross_compile: CrossCompile) -> None:
    program = cross_compile(SPIN)
    few, more, again = (
        run([program, turns], count=True).counts for turns in ("1001", "9001", "9001")
    )
    assert more[0] - few[0] == 2 * 8000
    assert more == again


@pytest.mark.usefixtures("_counter")
def test_a_program_marks_what_is_counted(cross_compile: CrossCompile) -> None:
    library = cross_compile(SPIN, "-shared", "-fPIC")
    counts = run_python(["-c", MARKS, library], count=True).counts
    start, few, more, _end = counts
    assert sorted(counts) == list(counts)
    # What remains is Python's way to the call and back, about the same both times.
    assert (more - few) - (few - start) == pytest.approx(2 * 2000, abs=2500)
    assert few - start >= 2 * 1000


def test_without_counting_there_are_no_counts(cross_compile: CrossCompile) -> None:
    assert run([cross_compile(SPIN), "1001"]).counts == ()
