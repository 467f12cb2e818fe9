from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.board import Record, Sample, Sampler, summarise
from edge_passd.board.heat import Signs
from edge_passd.errors import BadInput
from tests.board.conftest import Machine
from tests.board.trees import BOARDS, CPU

HOUR_S = 3600.0  # an interval that never passes: only the first and the last sample are taken
TEMPERATURE = "sys/class/thermal/thermal_zone3/temp"  # of Orin Nano's tj
CURRENT = "sys/class/hwmon/hwmon1/curr1_input"
ENERGY = "sys/class/powercap/intel-rapl:0/energy_uj"


class Clock:
    """A clock that its user sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def record_of(
    watts: list[float | None], averages: bool = False, step_s: float = 1.0, problem: str = ""
) -> Record:
    """A record whose samples are `step_s` apart."""
    samples = tuple(
        Sample(n * step_s, None, None, None, None, Signs(), each, problem if each is None else "")
        for n, each in enumerate(watts)
    )
    return Record(samples, 0.0, True, "meter", "all of it", averages, "", 0.0)


def test_a_measurement_on_a_jetson(machine: Machine) -> None:
    root, clock = machine("Orin Nano"), Clock()
    with Sampler(root, HOUR_S, clock=clock) as idle:
        clock.now_s += 2
    with Sampler(root, HOUR_S, clock=clock) as sampler:
        clock.now_s += 10
        (root / TEMPERATURE).write_text("71500\n")
        (root / CURRENT).write_text("3112\n")
        for policy in (0, 3):
            (root / f"{CPU}/cpufreq/policy{policy}/scaling_cur_freq").write_text("1113600\n")
    summary = summarise(sampler.record, frames=100, idle=idle.record)
    thermal, power = summary.thermal, summary.power
    assert (thermal.start_c, thermal.end_c, thermal.max_c) == (53.125, 71.5, 71.5)
    assert thermal.max_zone == "tj-thermal"
    assert (thermal.cpu_mhz_min, thermal.cpu_mhz_max) == (1113.6, 1728)
    assert (thermal.gpu_mhz_min, thermal.gpu_mhz_max) == (1020, 1020)
    assert thermal.throttling.state == "no"
    assert power.status == "measured"
    assert power.idle_w == pytest.approx(5.04 * 1.112)
    assert power.mean_w == pytest.approx(5.04 * (1.112 + 3.112) / 2)
    assert power.j_per_frame == pytest.approx(5.04 * 2.112 / 10)
    assert power.j_per_frame_above_idle == pytest.approx(5.04 / 10)
    assert summary.seconds == 10


def test_a_measurement_on_a_pc(machine: Machine) -> None:
    root, clock = machine("PC", {"sys/class/powercap/intel-rapl:0:1/name": None}), Clock()
    with Sampler(root, HOUR_S, clock=clock) as sampler:
        clock.now_s += 4
        (root / ENERGY).write_text("81000000\n")
    power = summarise(sampler.record, frames=8).power
    assert power.mean_w == pytest.approx(20)
    assert power.j_per_frame == pytest.approx(10)
    assert (power.idle_w, power.j_per_frame_above_idle) == (None, None)


def test_the_thread_samples_while_something_else_runs(machine: Machine) -> None:
    root = machine("Pi 5")
    with Sampler(root, 0.005) as sampler:
        (root / "sys/class/thermal/thermal_zone0/temp").write_text("84000\n")
        reached = threading.Event()
        while len(sampler.samples) < 5:
            reached.wait(0.005)
        (root / "sys/class/thermal/thermal_zone0/temp").write_text("60000\n")
    thermal = summarise(sampler.record).thermal
    assert (thermal.start_c, thermal.max_c, thermal.end_c) == (55.65, 84, 60)
    timeline = sampler.record.timeline()
    assert {len(column) for column in timeline.values()} == {len(sampler.record.samples)}
    assert timeline["time_s"] == sorted(timeline["time_s"], key=lambda each: each or 0)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("sampler")]


def test_what_sampling_costs_is_told(machine: Machine) -> None:
    clock = Clock()
    with Sampler(machine("AGX Orin"), HOUR_S, clock=clock) as sampler:
        clock.now_s += 2
    assert sampler.record.busy_s > 0
    assert summarise(sampler.record).sampler_load == sampler.record.busy_s / 2


@pytest.mark.parametrize("board", BOARDS)
def test_every_row_has_the_same_keys(board: str, machine: Machine, tmp_path: Path) -> None:
    rows = []
    for root in (machine(board), tmp_path / "nothing"):
        with Sampler(root, HOUR_S) as sampler:
            pass
        rows.append(summarise(sampler.record, frames=3).to_dict())
    assert json.loads(json.dumps(rows)) == rows
    board_row, empty_row = rows
    assert [(key, list(board_row[key])) for key in ("thermal", "power")] == [
        (key, list(empty_row[key])) for key in ("thermal", "power")
    ]
    assert list(board_row) == list(empty_row)


@pytest.mark.parametrize("board", ["Pi 4", "Pi 5", "nothing"])
def test_energy_that_is_not_there_is_never_zero(board: str, machine: Machine) -> None:
    with Sampler(machine(board), HOUR_S) as sampler:
        pass
    row = summarise(sampler.record, frames=10).to_dict()["power"]
    assert row.pop("status").startswith("not measured: ")
    assert set(row.values()) == {None}


def test_energy_that_nobody_wants_is_not_read(machine: Machine) -> None:
    with Sampler(machine("Orin Nano"), HOUR_S, power=False) as sampler:
        pass
    row = summarise(sampler.record, frames=10).to_dict()["power"]
    assert row.pop("status") == "not asked for"
    assert set(row.values()) == {None}


def test_a_meter_that_is_lost_on_the_way_is_told(machine: Machine) -> None:
    root, clock = machine("Orin Nano"), Clock()
    with Sampler(root, HOUR_S, clock=clock) as sampler:
        clock.now_s += 10
        shutil.rmtree(root)
    summary = summarise(sampler.record, frames=10)
    assert summary.power.status.startswith("not measured: ")
    assert "no such file" in summary.power.status
    assert "1 of 2 readings failed" in summary.power.status
    assert summary.power.mean_w is None
    assert summary.power.meter == "INA3221"
    assert summary.thermal.end_c is None
    assert summary.thermal.throttling.state == "unknown"


def test_the_record_is_there_after_an_error_in_what_is_measured(machine: Machine) -> None:
    sampler = Sampler(machine("Nano"), HOUR_S)
    with pytest.raises(KeyboardInterrupt), sampler:
        raise KeyboardInterrupt
    assert len(sampler.record.samples) == 2
    assert not [each.name for each in threading.enumerate() if each.name.startswith("sampler")]


def test_a_sampler_may_be_used_again(machine: Machine) -> None:
    sampler = Sampler(machine("Nano"), HOUR_S)
    for _ in range(2):
        with sampler:
            pass
        assert len(sampler.record.samples) == 2


@pytest.mark.parametrize("interval_s", [0, -1, float("nan")])
def test_an_interval_of_nothing_is_refused(interval_s: float) -> None:
    with pytest.raises(BadInput, match="more than 0 s"):
        Sampler(interval_s=interval_s)


@pytest.mark.parametrize(
    ("watts", "averages", "mean"),
    [
        ([4, 4, 4], False, 4),
        ([2, 4, 6], False, 4),
        ([10, 4, 10], False, 7),  # by time: the middle counts twice
        ([None, 3, 5], True, 4),  # each for the time before it
        ([None, 5], True, 5),
    ],
)
def test_power_is_averaged_over_time(
    watts: list[float | None], averages: bool, mean: float
) -> None:
    power = summarise(record_of(watts, averages), frames=1).power
    assert power.mean_w == pytest.approx(mean)


@pytest.mark.parametrize(
    ("watts", "averages", "reason"),
    [
        ([5.0], False, "too short"),
        ([], False, "too short"),
        ([None], True, "gone (1 of 1"),
        ([None, None, 5.0], True, "gone (2 of 3"),
        ([5.0, None, 5.0, 5.0, 5.0], False, "gone (1 of 5"),
        ([None] * 3, False, "gone (3 of 3"),
    ],
)
def test_too_few_readings_measure_nothing(
    watts: list[float | None], averages: bool, reason: str
) -> None:
    power = summarise(record_of(watts, averages, problem="gone"), frames=1).power
    assert power.status.startswith("not measured: ")
    assert reason in power.status
    assert (power.mean_w, power.j_per_frame) == (None, None)


def test_a_reading_that_fails_once_in_a_while_does_not_matter() -> None:
    watts: list[float | None] = [6.0] * 30
    watts[7] = None
    power = summarise(record_of(watts, problem="gone"), frames=29).power
    assert power.status == "measured"
    assert power.mean_w == pytest.approx(6)
    assert power.j_per_frame == pytest.approx(6)  # of all of the time, not of what was read


@given(
    st.lists(st.floats(0.1, 500), min_size=2, max_size=40),
    st.floats(0.01, 5),
    st.integers(1, 10_000),
    st.floats(0.1, 100),
)
def test_energy_is_power_times_time(
    watts: list[float], step_s: float, frames: int, idle_w: float
) -> None:
    record = record_of([*watts], step_s=step_s)
    power = summarise(record, frames, record_of([idle_w, idle_w])).power
    assert power.mean_w is not None
    assert min(watts) <= power.mean_w * (1 + 1e-9)
    assert power.mean_w <= max(watts) * (1 + 1e-9)
    assert power.j_per_frame is not None
    assert power.j_per_frame * frames == pytest.approx(power.mean_w * record.seconds)
    assert power.j_per_frame_above_idle is not None
    assert power.j_per_frame - power.j_per_frame_above_idle == pytest.approx(
        idle_w * record.seconds / frames
    )


@pytest.mark.parametrize("frames", [None, 0])
def test_without_frames_there_is_no_energy_of_one(frames: int | None) -> None:
    power = summarise(record_of([5, 5]), frames).power
    assert (power.status, power.mean_w, power.j_per_frame) == ("measured", 5, None)


def test_an_idle_that_was_not_measured_is_not_taken_as_zero() -> None:
    idle = replace(record_of([]), meter=None, no_meter="none")
    power = summarise(record_of([5, 5]), 10, idle).power
    assert power.j_per_frame is not None
    assert (power.idle_w, power.j_per_frame_above_idle) == (None, None)
