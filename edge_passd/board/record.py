"""What a sampler saw: the time line, and its summary in heat, clocks, throttling and energy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from edge_passd.board.heat import Signs, Throttling, judge

MEASURED, NOT_ASKED = "measured", "not asked for"
ENOUGH = 0.9  # of the time must have a power reading, or the energy is not measured

_COLUMNS = {"time_s": 3, "celsius": 1, "cpu_mhz": 1, "gpu_mhz": 1, "watts": 3}  # and decimals


@dataclass(frozen=True)
class Sample:
    """One moment; what could not be read is None.

    time_s: since the start. zone, celsius: the hottest sensor. cpu_mhz: of the fastest core.
    watts: of the moment, or the mean since the sample before. problem: why it is not there.
    """

    time_s: float
    zone: str | None
    celsius: float | None
    cpu_mhz: float | None
    gpu_mhz: float | None
    signs: Signs
    watts: float | None
    problem: str


@dataclass(frozen=True)
class Record:
    """samples: in the order of time. start_s: by the sampler's clock. meter, measures, averages:
    as in `power.Meter`, None without one; then no_meter: why. busy_s: processor time it took."""

    samples: tuple[Sample, ...]
    start_s: float
    asked_for_power: bool
    meter: str | None
    measures: str | None
    averages: bool
    no_meter: str
    busy_s: float

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return self.samples[-1].time_s - self.samples[0].time_s if self.samples else 0.0

    def timeline(self) -> dict[str, list[float | None]]:
        """A list for each column, all of one length."""
        return {
            name: [_rounded(getattr(sample, name), digits) for sample in self.samples]
            for name, digits in _COLUMNS.items()
        }


@dataclass(frozen=True)
class Thermal:
    """Degrees of the hottest sensor, and the clocks' ranges; None for what could not be read.

    cpu_mhz_*: of the core that is fastest at the time.
    """

    start_c: float | None
    end_c: float | None
    max_c: float | None
    max_zone: str | None
    cpu_mhz_min: float | None
    cpu_mhz_max: float | None
    gpu_mhz_min: float | None
    gpu_mhz_max: float | None
    throttling: Throttling

    def to_dict(self) -> dict[str, Any]:
        """For JSON; "throttled" is yes, no or unknown."""
        values = asdict(self)
        values.pop("throttling")
        throttled = {"throttled": self.throttling.state, "throttled_reason": self.throttling.reason}
        return values | throttled


@dataclass(frozen=True)
class Power:
    """status: MEASURED, NOT_ASKED or "not measured: REASON"; unless measured, no figure stands.

    mean_w: over the time that has readings. j_per_frame: of all that the meter sees, and
    j_per_frame_above_idle: of what the frames added to the idle machine; None without a count of
    frames, or without a measured idle.
    """

    status: str
    meter: str | None = None
    measures: str | None = None
    mean_w: float | None = None
    idle_w: float | None = None
    j_per_frame: float | None = None
    j_per_frame_above_idle: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """sampler_load: what sampling itself took, as a share of one core."""

    thermal: Thermal
    power: Power
    seconds: float
    sampler_load: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "thermal": self.thermal.to_dict(),
            "power": self.power.to_dict(),
            "seconds": round(self.seconds, 3),
            "sampler_load": round(self.sampler_load, 4),
        }


def summarise(record: Record, frames: int | None = None, idle: Record | None = None) -> Summary:
    """The summary of a measurement of `frames` frames, and of the idle machine before it."""
    load = record.busy_s / record.seconds if record.seconds > 0 else 0.0
    return Summary(_thermal(record), _power(record, frames, idle), record.seconds, load)


def _thermal(record: Record) -> Thermal:
    heat = [(each.celsius, each.zone) for each in record.samples if each.celsius is not None]
    hottest = max(heat, key=lambda each: each[0], default=(None, None))
    cpu = _known(sample.cpu_mhz for sample in record.samples)
    gpu = _known(sample.gpu_mhz for sample in record.samples)
    return Thermal(
        start_c=record.samples[0].celsius if record.samples else None,
        end_c=record.samples[-1].celsius if record.samples else None,
        max_c=hottest[0],
        max_zone=hottest[1],
        cpu_mhz_min=min(cpu, default=None),
        cpu_mhz_max=max(cpu, default=None),
        gpu_mhz_min=min(gpu, default=None),
        gpu_mhz_max=max(gpu, default=None),
        throttling=judge([sample.signs for sample in record.samples]),
    )


def _power(record: Record, frames: int | None, idle: Record | None) -> Power:
    if not record.asked_for_power:
        return Power(NOT_ASKED)
    mean_w, problem = _mean_watts(record)
    if mean_w is None:
        return Power(f"not measured: {problem}", record.meter, record.measures)
    idle_w = _mean_watts(idle)[0] if idle else None
    s_per_frame = record.seconds / frames if frames else None
    return Power(
        MEASURED,
        record.meter,
        record.measures,
        mean_w=mean_w,
        idle_w=idle_w,
        j_per_frame=mean_w * s_per_frame if s_per_frame else None,
        j_per_frame_above_idle=(mean_w - idle_w) * s_per_frame if s_per_frame and idle_w else None,
    )


def _mean_watts(record: Record) -> tuple[float | None, str]:
    """The mean over time; None and the reason if too little of the time has readings."""
    if record.meter is None:
        return None, record.no_meter
    joules = seconds = 0.0
    for before, after in pairwise(record.samples):
        start, end = (after.watts if record.averages else before.watts), after.watts
        if start is not None and end is not None:
            seconds += after.time_s - before.time_s
            joules += (after.time_s - before.time_s) * (start + end) / 2
    if not 0 < record.seconds <= seconds / ENOUGH:
        problems = [sample.problem for sample in record.samples if sample.problem]
        if not problems:
            return None, "the measurement was too short"
        return None, f"{problems[0]} ({len(problems)} of {len(record.samples)} readings failed)"
    return joules / seconds, ""


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
