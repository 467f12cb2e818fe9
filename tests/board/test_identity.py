from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_passd.board import identify
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, PC, device_tree, l4t

NO_TREE: dict[str, str | None] = {
    "proc/device-tree/model": None,
    "proc/device-tree/compatible": None,
}
BOOT_FILE_ONLY: dict[str, str | None] = {
    **NO_TREE,
    "etc/nv_boot_control.conf": "TNSPEC 3767-300-0005-N.1-1-1-jetson-orin-nano-devkit-\n"
    "TEGRA_CHIPID 0x23\n",
}
NO_MODE: dict[str, str | None] = {"var/lib/nvpmodel/status": None}

FACTS = {
    "Nano": ("jetson", "NVIDIA Jetson Nano Developer Kit", "Cortex-A57", 4, "32.7.4", "4.6.4",
             "MAXN", False),
    "Xavier NX": ("jetson", "NVIDIA Jetson Xavier NX Developer Kit", "Carmel", 6, "35.6.0",
                  "5.1.4", "MODE_15W_6CORE", False),
    "Orin Nano": ("jetson", "NVIDIA Jetson Orin Nano Developer Kit", "Cortex-A78AE", 6, "36.4.3",
                  "6.2", "MAXN_SUPER", True),
    "AGX Orin": ("jetson", "NVIDIA Jetson AGX Orin Developer Kit", "Cortex-A78AE", 12, "35.5.0",
                 "5.1.3", "MODE_50W", False),
    "Pi 4": ("raspberry-pi", "Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72", 4, None, None, None,
             None),
    "Pi 5": ("raspberry-pi", "Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76", 4, None, None, None,
             None),
    "PC": ("pc", "LENOVO ThinkStation P330", "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", 4, None,
           None, None, None),
}  # fmt: skip


@pytest.mark.parametrize("board", BOARDS)
def test_each_board_is_known(board: str, machine: Machine) -> None:
    found = identify(machine(board))
    assert (
        found.kind, found.model, found.cpu, found.cores, found.l4t, found.jetpack,
        found.power_mode, found.clocks_locked,
    ) == FACTS[board]  # fmt: skip
    assert found.kernel
    assert found.kernel.startswith(("4.9", "5.", "6."))
    assert found.memory_bytes
    assert 4e9 < found.memory_bytes < 70e9


def test_nothing_is_made_up_of_nothing(tmp_path: Path) -> None:
    found = identify(tmp_path)
    assert found.kind == "other"
    assert found.title == "unknown machine"
    assert set(found.to_dict().values()) == {"other", None}


@pytest.mark.parametrize("board", BOARDS)
def test_every_row_has_the_same_keys(board: str, machine: Machine, tmp_path: Path) -> None:
    row = identify(machine(board)).to_dict()
    assert json.loads(json.dumps(row)) == row
    assert list(row) == list(identify(tmp_path / "nothing").to_dict())


@pytest.mark.parametrize(
    ("board", "changes", "name", "wanted"),
    [
        ("Pi 5", NO_TREE, "title", "Raspberry Pi 5 Model B Rev 1.0"),
        ("Pi 5", NO_TREE, "kind", "raspberry-pi"),
        ("Orin Nano", BOOT_FILE_ONLY, "title", "jetson-orin-nano-devkit"),
        ("Orin Nano", BOOT_FILE_ONLY, "kind", "jetson"),
        ("Pi 4", {"proc/cpuinfo": "CPU implementer : 0x41\nModel : Raspberry Pi 9\n"}, "cpu", None),
        ("PC", {"sys/class/dmi/id/product_name": "To Be Filled By O.E.M.\n"}, "title",
         "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz"),
        ("PC", {"sys/class/dmi/id/sys_vendor": "System manufacturer\n"}, "title",
         "ThinkStation P330"),
        ("PC", {"sys/class/dmi/id/product_name": "System Product Name\n",
                "sys/class/dmi/id/board_vendor": "ASUSTeK\n",
                "sys/class/dmi/id/board_name": "PRIME B450\n"}, "title", "ASUSTeK PRIME B450"),
        ("PC", {"sys/class/dmi/id/product_name": "A\x1b[31mB\nC\n"}, "model", "LENOVO A [31mB C"),
        ("PC", {"sys/devices/system/cpu/online": "0-3,6,8-9\n"}, "cores", 7),
        ("PC", {"sys/devices/system/cpu/online": "0-x\n"}, "cores", None),
        ("PC", {"sys/devices/system/cpu/online": "\n"}, "cores", None),
        ("PC", {"proc/meminfo": "MemTotal: lots kB\n"}, "memory_bytes", None),
        ("Nano", l4t(99, "1.2"), "l4t", "99.1.2"),
        ("Nano", l4t(99, "1.2"), "jetpack", None),
        ("Xavier NX", l4t(35, "1"), "jetpack", "5.0.2"),
        ("Nano", {"etc/nv_tegra_release": "# R32, or so\n"}, "l4t", None),
        ("Nano", {"etc/nvpmodel.conf": None}, "power_mode", "mode 0"),
        ("Nano", {"var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n"}, "power_mode", "5W"),
        ("Nano", NO_MODE, "power_mode", None),
        ("PC", {"proc/cpuinfo": "processor : 0\n"}, "kind", "other"),
        ("Pi 4", device_tree("ROCK 5B", "radxa,rock-5b", "rockchip,rk3588"), "kind", "other"),
    ],
)  # fmt: skip
def test_facts_come_from_where_they_are(
    board: str, changes: dict[str, str | None], name: str, wanted: object, machine: Machine
) -> None:
    assert getattr(identify(machine(board, changes)), name) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('echo "NVPM WARN: fan mode is not set!"; echo "NV Power Mode: 25W"; echo 1', "25W"),
        ("echo 'NVPM ERROR: no permission' >&2; exit 1", "MAXN_SUPER"),  # the files tell as well
        ("echo NV Power Mode: 7W; exit 1", "MAXN_SUPER"),
        ("echo", "MAXN_SUPER"),
    ],
)
def test_nvpmodel_is_asked_first(
    line: str, wanted: str, machine: Machine, program: Callable[[Path, str, str], None]
) -> None:
    root = machine("Orin Nano")
    program(root, "usr/sbin/nvpmodel", line)
    assert identify(root).power_mode == wanted


def test_a_program_that_hangs_is_not_waited_for(
    machine: Machine,
    program: Callable[[Path, str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_passd.board.sysfs.PATIENCE_S", 0.1)
    root = machine("Orin Nano", NO_MODE)
    program(root, "usr/sbin/nvpmodel", "exec sleep 60")
    assert identify(root).power_mode is None


def test_long_names_are_cut(machine: Machine) -> None:
    found = identify(machine("PC", {"sys/class/dmi/id/product_name": "x" * 5000}))
    assert found.model
    assert len(found.model) < 250
    assert PC["sys/class/dmi/id/sys_vendor"].strip() in found.model
