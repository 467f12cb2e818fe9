from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_passd.board import Sampler, find_meter, identify, summarise
from edge_passd.board.power import Meter, find_rails
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, ina3221, rapl

NANO_RAIL = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
ORIN_RAIL = "sys/class/hwmon/hwmon1"
PACKAGE, DRAM = (f"sys/class/powercap/{zone}" for zone in ("intel-rapl:0", "intel-rapl:0:1"))


def meter_of(root: Path) -> tuple[Meter | None, str]:
    return find_meter(identify(root).kind, root)


@pytest.mark.parametrize(
    ("board", "watts", "measures"),
    [
        ("Nano", 4.812, "whole module: POM_5V_IN"),
        ("Xavier NX", 4.96 * 0.968, "whole module: VDD_IN"),
        ("Orin Nano", 5.04 * 1.112, "whole module: VDD_IN"),
        ("AGX Orin", 19.92 * 0.16 + 19.92 * 0.04 + 4.968 * 0.64,
         "whole module: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"),
    ],
)  # fmt: skip
def test_a_jetson_measures_its_module(
    board: str, watts: float, measures: str, machine: Machine
) -> None:
    meter, problem = meter_of(machine(board))
    assert meter, problem
    assert (meter.name, meter.measures, meter.averages) == ("INA3221", measures, False)
    assert meter.read(0).value == pytest.approx(watts)


def test_rails_without_a_name_and_sums_of_shunts_are_none(machine: Machine) -> None:
    names = [rail.name for rail in find_rails(machine("AGX Orin"))]
    assert names == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]


def test_agx_xavier_is_the_sum_of_its_six_rails(machine: Machine) -> None:
    rails = ("GPU", "CPU", "SOC"), ("CV", "VDDRQ", "SYS5V")
    tree = {
        path: text
        for n, chip in enumerate(rails)
        for path, text in ina3221(n, *[(name, 5000, 200) for name in chip]).items()
    }
    meter, _ = find_meter("jetson", machine("", dict(tree)))
    assert meter
    assert meter.read(0).value == pytest.approx(6.0)


def test_a_pc_measures_its_processor_and_memory_once(machine: Machine) -> None:
    root = machine("PC")
    meter, _ = meter_of(root)
    assert meter
    assert meter.measures == "processor only: package-0 (intel-rapl:0) + dram (intel-rapl:0:1)"
    assert meter.averages
    assert meter.read(10) == (None, "")  # it takes two
    (root / PACKAGE / "energy_uj").write_text("31000000\n")
    (root / DRAM / "energy_uj").write_text("4200000\n")
    assert meter.read(12).value == pytest.approx((30 + 4) / 2)


def test_a_counter_may_wrap(machine: Machine) -> None:
    root = machine("PC", {f"{PACKAGE}/energy_uj": "262143328000\n", f"{DRAM}/name": None})
    meter, _ = meter_of(root)
    assert meter
    meter.read(0)
    (root / PACKAGE / "energy_uj").write_text("1999150\n")
    assert meter.read(1).value == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("later", "range_file", "problem"),
    [
        ("1000", None, "fell"),  # and where it wraps is not known
        ("1000000", "262143328850", "reads 0 W"),  # stands still, as in a virtual machine
        ("", "262143328850", "holds no number"),
        (None, "262143328850", "no such file"),
    ],
)
def test_a_counter_that_does_not_count_is_no_zero(
    later: str | None, range_file: str | None, problem: str, machine: Machine
) -> None:
    root = machine("PC", {f"{PACKAGE}/max_energy_range_uj": range_file, f"{DRAM}/name": None})
    meter, _ = meter_of(root)
    assert meter
    meter.read(0)
    path = root / PACKAGE / "energy_uj"
    path.unlink()
    if later is not None:
        path.write_text(later)
    reading = meter.read(1)
    assert reading.value is None
    assert problem in reading.problem


def test_amd_counts_under_the_same_name(machine: Machine) -> None:
    tree = rapl("intel-rapl:0", "package-0", 5) | rapl("intel-rapl:0:0", "core", 3)
    meter, _ = find_meter("pc", machine("", dict(tree)))
    assert meter
    assert meter.measures == "processor only: package-0 (intel-rapl:0)"


@pytest.mark.parametrize(
    ("board", "changes", "reason"),
    [
        ("Pi 4", {}, "a Raspberry Pi has no power meter that Linux shows"),
        ("Pi 5", {}, "a Raspberry Pi has no power meter that Linux shows"),
        ("PC", {f"{PACKAGE}/name": None, f"{DRAM}/name": None}, "RAPL"),
        ("PC", {f"{PACKAGE}/energy_uj": ""}, f"{PACKAGE}/energy_uj: holds no number"),
        ("PC", {f"{DRAM}/energy_uj": None}, f"{DRAM}/energy_uj: no such file"),
        ("Nano", {f"{NANO_RAIL}/in_power0_input": "5W\n"}, "in_power0_input: holds no number"),
        ("Nano", {f"{NANO_RAIL}/in_power0_input": "0\n"}, "POM_5V_IN: reads 0 W"),
        ("Nano", {f"{NANO_RAIL}/rail_name_0": None}, "POM_5V_GPU, POM_5V_CPU"),
        ("Orin Nano", {f"{ORIN_RAIL}/curr1_input": None}, "curr1_input: no such file"),
        ("Orin Nano", {f"{ORIN_RAIL}/curr1_input": "0"}, "VDD_IN: reads 0 W"),
        ("Orin Nano", {f"{ORIN_RAIL}/curr1_input": "-40"}, "VDD_IN: reads -0.2016 W"),
        ("Orin Nano", {f"{ORIN_RAIL}/curr1_input": "9" * 12}, "VDD_IN: reads 5.04e+09 W"),
        ("Orin Nano", {f"{ORIN_RAIL}/name": None}, "no INA3221"),
        ("AGX Orin", {"sys/class/hwmon/hwmon3/in3_label": "NC"}, "is not known"),
        ("AGX Orin", {"sys/class/hwmon/hwmon3/curr2_input": "\0"}, "curr2_input: holds no number"),
    ],
)
def test_what_cannot_be_read_has_a_reason(
    board: str, changes: dict[str, str | None], reason: str, machine: Machine
) -> None:
    meter, problem = meter_of(machine(board, changes))
    assert meter is None
    assert reason in problem
    assert "\n" not in problem


def test_a_lack_of_permission_says_what_to_do(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine("PC")
    opened = os.open

    def guarded(path: Path, flags: int) -> int:
        if Path(path).name == "energy_uj":  # root alone reads it, and root runs the tests, maybe
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags)

    monkeypatch.setattr("edge_passd.board.sysfs.os.open", guarded)
    meter, problem = meter_of(root)
    assert meter is None
    assert f"{PACKAGE}/energy_uj: permission denied" in problem
    assert "run as root" in problem


JTOP = """
class JtopException(Exception):
    pass
class jtop:
    alive = True
    def start(self):
        {start}
    def is_alive(self):
        return jtop.alive
    def close(self):
        jtop.alive = False
    power = {power}
"""
NO_SYSFS: dict[str, str | None] = {f"{ORIN_RAIL}/name": None, "run/jtop.sock": ""}


Install = Callable[..., None]


@pytest.fixture
def jetson_stats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package of that interface, with what `start` does and what `power` is."""

    def install(power: str = "{}", start: str = "pass") -> None:
        (tmp_path / "jtop.py").write_text(JTOP.format(start=start, power=power))
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("jtop", None)


@pytest.mark.parametrize(
    ("power", "watts", "problem"),
    [
        ("{'tot': {'power': 6300, 'avg': 6200}}", 6.3, ""),
        ("{'tot': {}}", None, "no total power"),
        ("{'tot': {'power': 'much'}}", None, "no total power"),
        ("None", None, "no total power"),
        ("{'tot': {'power': 0}}", None, "reads 0 W"),
    ],
)
def test_jetson_stats_is_asked_where_there_is_nothing_better(
    power: str, watts: float | None, problem: str, machine: Machine, jetson_stats: Install
) -> None:
    jetson_stats(power)
    meter, _ = meter_of(machine("Orin Nano", NO_SYSFS))
    assert meter
    reading = meter.read(0)
    assert reading.value == watts
    assert problem in reading.problem
    meter.close()
    assert meter.read(1) == (None, "jtop has stopped")


def test_a_sampler_lets_go_of_jetson_stats(machine: Machine, jetson_stats: Install) -> None:
    jetson_stats("{'tot': {'power': 6300}}")
    with Sampler(machine("Orin Nano", NO_SYSFS), interval_s=3600) as sampler:
        client = sys.modules["jtop"].jtop
        assert client.alive
    assert not client.alive
    power = summarise(sampler.record).power
    assert (power.status, power.meter) == ("measured", "jtop")
    assert power.mean_w == pytest.approx(6.3)


def test_jetson_stats_without_its_service_is_told(machine: Machine, jetson_stats: Install) -> None:
    jetson_stats(start="raise JtopException('The service is\\nnot active')")
    meter, reason = meter_of(machine("Orin Nano", NO_SYSFS))
    assert meter is None
    assert "no INA3221" in reason
    assert "jtop: The service is not active" in reason


def test_the_chip_itself_is_asked_before_jetson_stats(
    machine: Machine, jetson_stats: Install
) -> None:
    jetson_stats()
    meter, _ = meter_of(machine("Orin Nano", {"run/jtop.sock": ""}))
    assert meter
    assert meter.name == "INA3221"


def test_jetson_stats_for_another_python_is_told(machine: Machine) -> None:
    meter, reason = meter_of(machine("Orin Nano", NO_SYSFS))
    assert meter is None
    assert "jetson-stats" in reason


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_has_a_meter_or_a_reason(board: str, machine: Machine) -> None:
    meter, reason = meter_of(machine(board))
    assert (meter is None) == bool(reason)
