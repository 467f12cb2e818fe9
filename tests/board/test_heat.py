from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_passd.board import judge, read_signs, read_zones
from edge_passd.board.heat import Signs, hottest
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, CPU, throttled

THERMAL = "sys/class/thermal"
PI_4_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
HOTTEST = {
    "Nano": ("CPU-therm", 43.0),  # not the chip that will be shut down at 100
    "Xavier NX": ("CPU-therm", 38.5),
    "Orin Nano": ("tj-thermal", 53.125),
    "AGX Orin": ("CPU-therm", 48.031),
    "Pi 4": ("cpu-thermal", 61.342),
    "Pi 5": ("cpu-thermal", 55.65),
    "PC": ("coretemp Package id 0", 61.5),
}


@pytest.mark.parametrize("board", BOARDS)
def test_the_hottest_sensor_of_each_board(board: str, machine: Machine) -> None:
    zone = hottest(read_zones(machine(board)))
    assert zone
    assert (zone.name, zone.celsius) == HOTTEST[board]


@pytest.mark.parametrize(("board", "name"), [("Orin Nano", "cv0-thermal"), ("Nano", "PMIC-Die")])
def test_what_senses_nothing_is_left_out(board: str, name: str, machine: Machine) -> None:
    zones = {zone.name for zone in read_zones(machine(board))}
    assert zones
    assert name not in zones


@pytest.mark.parametrize("content", ["", "hot", "nan", "151000", "-40001", "9" * 30, "61.3"])
def test_a_temperature_that_cannot_be_is_none(content: str, machine: Machine) -> None:
    assert not read_zones(machine("Pi 4", {f"{THERMAL}/thermal_zone0/temp": content}))


def test_a_sensor_that_answers_try_again_is_left_out(machine: Machine) -> None:
    root = machine("Orin Nano")
    path = root / THERMAL / "thermal_zone3/temp"
    path.unlink()
    os.mkfifo(path)
    keeper = os.open(path, os.O_RDWR)  # a pipe with a writer that writes nothing: EAGAIN
    try:
        zone = hottest(read_zones(root))
    finally:
        os.close(keeper)
    assert zone
    assert (zone.name, zone.celsius) == ("cpu-thermal", 52.031)


def test_without_a_sensor_of_the_processor_any_will_do(machine: Machine) -> None:
    files = {f"{THERMAL}/thermal_zone0/type": "acpitz", f"{THERMAL}/thermal_zone0/temp": "30500"}
    zone = hottest(read_zones(machine("", files)))
    assert zone
    assert (zone.name, zone.celsius) == ("acpitz", 30.5)


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_at_rest_is_not_throttled(board: str, machine: Machine) -> None:
    signs = read_signs(machine(board))
    verdict = judge([signs, signs])
    assert verdict.state == "no", verdict
    assert "watched" in verdict.reason


@pytest.mark.parametrize(
    ("board", "changes", "state", "reason"),
    [
        ("Pi 4", {PI_4_FLAGS: "50005\n"}, "yes", "under-voltage at level 1"),
        ("Pi 4", {PI_4_FLAGS: "80008\n"}, "yes", "soft temperature limit at level 1"),
        ("Pi 4", {PI_4_FLAGS: "20000\n"}, "yes", "clock capped since boot rose from 0 to 1"),
        ("Pi 4", {PI_4_FLAGS: "0x4\n"}, "yes", "throttled at level 1"),
        ("Pi 4", {PI_4_FLAGS: "zzz\n"}, "unknown", "can no longer be read"),
        ("Pi 4", {PI_4_FLAGS: "ffffffff\n"}, "unknown", "can no longer be read"),
        ("Pi 4", {PI_4_FLAGS: None}, "unknown", "can no longer be read"),
        ("Nano", {f"{THERMAL}/cooling_device0/cur_state": "3"}, "yes", "cpu-balanced"),
        ("Orin Nano", {f"{THERMAL}/cooling_device4/cur_state": "1"}, "yes", "gpu-throttle-alert"),
        ("Orin Nano", {f"{THERMAL}/cooling_device1/cur_state": "9"}, "yes", "devfreq"),
        ("Orin Nano", {f"{THERMAL}/cooling_device6/cur_state": "1"}, "no", "watched"),  # warns
        ("Orin Nano", {f"{THERMAL}/cooling_device2/cur_state": "4"}, "no", "watched"),  # cools
        ("Orin Nano", {"sys/class/hwmon/hwmon2/oc3_event_cnt": "5"}, "yes", "rose from 4 to 5"),
        ("Orin Nano", {f"{THERMAL}/cooling_device4/cur_state": ""}, "unknown", "gpu-throttle"),
        ("PC", {f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "9"}, "yes", "from 7 to 9"),
        ("PC", {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "1"}, "yes", "cpu1"),
        ("PC", {f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "?"}, "unknown", "cpu0"),
    ],
)
def test_throttling_shows(
    board: str, changes: dict[str, str | None], state: str, reason: str, machine: Machine
) -> None:
    verdict = judge([read_signs(machine(board)), read_signs(machine(board, changes))])
    assert verdict.state == state
    assert reason in verdict.reason


def test_throttling_in_between_shows(machine: Machine) -> None:
    rest = read_signs(machine("Orin Nano"))
    change = {f"{THERMAL}/cooling_device3/cur_state": "1\n"}
    hot = read_signs(machine("Orin Nano", change), whole=False)
    assert judge([rest, hot, rest]).state == "yes"


def test_what_was_before_is_not_blamed_on_the_measurement(machine: Machine) -> None:
    before = read_signs(
        machine("Pi 5", throttled("soc@107c000000/soc@107c000000:firmware", 0x50000))
    )
    assert judge([before, before]).state == "no"


def test_a_machine_without_signs_is_unknown(tmp_path: Path) -> None:
    signs = read_signs(tmp_path)
    assert signs == Signs()
    assert judge([signs, signs]).state == "unknown"
    assert judge([signs]).to_dict() == {"state": "unknown", "reason": "not watched"}


@pytest.mark.parametrize(
    ("line", "state", "reason"),
    [
        ("echo throttled=0x0", "no", "watched"),
        ("echo throttled=0x20002", "yes", "clock capped"),
        ("echo throttled=0x20000", "unknown", "reboot"),
        ("echo 'VCHI initialization failed' >&2; exit 255", "unknown", "no firmware flags"),
    ],
)
def test_vcgencmd_is_asked_where_the_kernel_does_not_tell(
    line: str, state: str, reason: str, machine: Machine,
    program: Callable[[Path, str, str], None],
) -> None:  # fmt: skip
    root = machine("Pi 4", {PI_4_FLAGS: None})
    program(root, "usr/bin/vcgencmd", line)
    middle = read_signs(root, whole=False)
    assert middle == Signs()  # not while something is measured
    verdict = judge([read_signs(root), middle, read_signs(root)])
    assert verdict.state == state
    assert reason in verdict.reason
