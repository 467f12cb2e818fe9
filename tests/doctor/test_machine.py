"""This machine, told from the files of seven boards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL
from edge_passd.doctor.machine import FEATURES, LEAST_DISK, check_machine
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, CPU, throttled
from tests.doctor.conftest import by_name

PI_FLAGS = "soc/soc:firmware"


@pytest.mark.parametrize(
    ("board", "says", "boards"),
    [
        ("Nano", "JetPack 4.6.4 (L4T 32.7.4), power mode MAXN", "aarch64"),
        ("Orin Nano", "JetPack 6.2 (L4T 36.4.3), power mode MAXN_SUPER", "aarch64"),
        ("Pi 5", "Raspberry Pi 5 Model B Rev 1.0", "aarch64"),
        ("PC", "ThinkStation P330", "no bundle runs on it"),  # its tree lists AVX2 alone
    ],
)
def test_a_board_is_named_with_what_runs_on_it(
    machine: Machine, board: str, says: str, boards: str
) -> None:
    found = by_name(check_machine(machine(board)))
    assert says in found["board"].found
    assert boards in found["processor"].found


@pytest.mark.parametrize("board", BOARDS)
def test_every_line_of_every_board_says_something(machine: Machine, board: str) -> None:
    for finding in check_machine(machine(board)):
        assert finding.found
        assert finding.state in (OK, OPTIONAL) or finding.cure


def test_a_machine_that_tells_nothing(machine: Machine) -> None:
    found = by_name(check_machine(machine("", {"etc/nothing": ""})))
    for name in ("clocks", "throttling", "temperature"):
        assert found[name].state == OPTIONAL
    assert {each.state for each in found.values()} <= {OK, OPTIONAL}
    assert "cannot be read" in found["processor"].found


@pytest.mark.parametrize(
    ("board", "changes", "name", "state", "says"),
    [
        ("Pi 4", throttled(PI_FLAGS, 0x1), "throttling", BROKEN, "now: under-voltage"),
        ("Pi 4", throttled(PI_FLAGS, 0x10000), "throttling", OK, "before: under-voltage"),
        ("Pi 4", {}, "throttling", OK, "none"),
        (
            "Pi 4", {"sys/class/thermal/thermal_zone0/temp": "86000\n"}, "temperature", BROKEN,
            "86 °C (cpu-thermal), too hot",
        ),
        ("Pi 4", {}, "temperature", OK, "61 °C"),
        ("Pi 4", {"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB"}, "memory", OK,
         "3.8 of 7.6 GiB free"),
        ("Pi 4", {"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 90000 kB"}, "memory",
         MISSING, "0.1 of 7.6 GiB free"),
        ("Pi 4", {}, "clocks", OK, "governor ondemand, to 1800 MHz"),
        ("Orin Nano", {}, "clocks", OK, "locked"),
    ],
)  # fmt: skip
def test_what_a_board_suffers_from(
    machine: Machine, board: str, changes: dict[str, str | None], name: str, state: str, says: str
) -> None:
    found = by_name(check_machine(machine(board, changes)))[name]
    assert (found.state, says in found.found) == (state, True), found


@pytest.mark.parametrize(
    ("board", "cure"), [("Nano", "sudo jetson_clocks"), ("Pi 5", "scaling_governor")]
)
def test_how_to_hold_the_clocks(machine: Machine, board: str, cure: str) -> None:
    assert cure in by_name(check_machine(machine(board)))["clocks"].cure


def test_performance_needs_no_cure(machine: Machine) -> None:
    files = {f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance\n" for n in range(4)}
    assert by_name(check_machine(machine("Pi 5", dict(files))))["clocks"].cure == ""


@pytest.mark.parametrize(("answer", "says"), [("yes", "synchronised"), ("no", "not synchronised")])
def test_the_clock(
    machine: Machine, program: Callable[[Path, str, str], None], answer: str, says: str
) -> None:
    root = machine("Pi 5")
    program(root, "usr/bin/timedatectl", f"echo {answer}")
    found = by_name(check_machine(root))["clock"]
    assert found.found.endswith(f", {says}")
    assert bool(found.cure) == (answer == "no")


def test_a_clock_that_was_never_set(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(0))
    assert by_name(check_machine(machine("Pi 5")))["clock"].state == BROKEN


def test_a_full_disk_and_one_that_is_not_ours(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine("Pi 5")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, LEAST_DISK - 1)
    )
    assert by_name(check_machine(root))["disk, here"].state == MISSING
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no permission" in by_name(check_machine(root))["disk, here"].found


def test_a_home_that_does_not_exist(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere/at/all")
    assert by_name(check_machine(machine("Pi 5")))["disk, home"].state == BROKEN


def test_bundles_ask_for_what_the_compilers_presets_say() -> None:
    pytest.importorskip("tvm")
    from targets import arm, x86

    presets = {**arm.BOARDS, **x86.BOARDS}
    assert {name: presets[name].features for name in FEATURES} == FEATURES
    generic = {board.features for board in presets.values()}
    assert generic == set(FEATURES.values())
