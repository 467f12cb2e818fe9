from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_passd.board import read_clocks
from edge_passd.board.clocks import cpu_mhz, gpu_mhz
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, CPU

FACTS = {  # cores, governor, MHz now, least and most; the GPU's MHz now
    "Nano": (4, "schedutil", 1479, 102, 1479, 76.8),
    "Xavier NX": (6, "schedutil", 1190.4, 115.2, 1420.8, 114.75),
    "Orin Nano": (6, "schedutil", 1728, 1728, 1728, 1020),
    "AGX Orin": (12, "schedutil", 1497.6, 115.2, 1497.6, 306),
    "Pi 4": (4, "ondemand", 1800, 600, 1800, None),
    "Pi 5": (4, "ondemand", 2400, 1500, 2400, None),
    "PC": (4, "powersave", 4300, 800, 4600, None),
}


@pytest.mark.parametrize("board", BOARDS)
def test_clocks_of_each_board(board: str, machine: Machine) -> None:
    root = machine(board)
    clocks = read_clocks(root)
    count, governor, now, least, most, gpu = FACTS[board]
    assert [core.name for core in clocks.cores] == [f"cpu{n}" for n in range(count)]
    assert {(core.mhz, core.min_mhz, core.max_mhz) for core in clocks.cores} == {(now, least, most)}
    assert clocks.governor == governor
    assert cpu_mhz(root) == now
    assert gpu_mhz(root) == (clocks.gpu.mhz if clocks.gpu else None) == gpu
    row = clocks.to_dict()
    assert json.loads(json.dumps(row)) == row


def test_no_clocks_are_made_up(tmp_path: Path) -> None:
    clocks = read_clocks(tmp_path)
    assert clocks.to_dict() == {"governor": None, "cores": [], "gpu": None}
    assert clocks.locked is None
    assert cpu_mhz(tmp_path) is None
    assert gpu_mhz(tmp_path) is None


def test_the_fastest_core_counts(machine: Machine) -> None:
    changes = {
        f"{CPU}/cpufreq/policy{n}/scaling_cur_freq": f"{khz}\n"
        for n, khz in enumerate((800000, 3900000, 1200000, 800000))
    }
    assert cpu_mhz(machine("PC", changes)) == 3900


def test_a_virtual_machine_knows_its_clock_from_cpuinfo(machine: Machine) -> None:
    text = "vendor_id : x\ncpu MHz\t\t: 2596.094\n\ncpu MHz\t\t: 2499.5\ncpu MHz\t: 99999\n"
    assert cpu_mhz(machine("", {"proc/cpuinfo": text})) == 2596.094


def test_a_core_that_is_off_is_left_out(machine: Machine) -> None:
    clocks = read_clocks(machine("Nano", {f"{CPU}/cpu3/online": "0\n", f"{CPU}/cpu2/online": "1"}))
    assert [core.name for core in clocks.cores] == ["cpu0", "cpu1", "cpu2"]


def test_governors_that_differ_are_all_named(machine: Machine) -> None:
    change = {f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n"}
    assert read_clocks(machine("Nano", change)).governor == "performance, schedutil"


@pytest.mark.parametrize("content", ["", "garbage", "0", "-5", "99999999999", "1e9", "\uff11000"])
def test_a_clock_that_cannot_be_is_none(content: str, machine: Machine) -> None:
    files = [f"{CPU}/cpu{n}/cpufreq/scaling_cur_freq" for n in range(4)]
    files += [f"{CPU}/cpufreq/policy0/scaling_cur_freq", "sys/class/devfreq/57000000.gpu/cur_freq"]
    root = machine("Nano", dict.fromkeys(files, content))
    clocks = read_clocks(root)
    assert {core.mhz for core in clocks.cores} == {None}
    assert cpu_mhz(root) is None
    assert gpu_mhz(root) is None
    assert clocks.gpu
    assert clocks.gpu.max_mhz == 921.6


@pytest.mark.parametrize(
    ("changes", "locked"),
    [
        ({}, True),
        ({f"{CPU}/cpu5/cpufreq/scaling_min_freq": "115200\n"}, False),
        ({"sys/class/devfreq/17000000.gpu/min_freq": "306000000\n"}, False),
        ({"sys/class/devfreq/17000000.gpu/min_freq": ""}, True),
    ],
)
def test_clocks_are_locked_when_there_is_nothing_to_choose(
    changes: dict[str, str], locked: bool, machine: Machine
) -> None:
    assert read_clocks(machine("Orin Nano", changes)).locked is locked
