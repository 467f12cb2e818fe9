"""A row for people, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edge_passd.bench.statistics import summary
from edge_passd.board.record import MEASURED, NOT_ASKED
from edge_passd.evaluation import COCO_NAMES

BUSY = 0.2  # cores; what other programs may keep busy without disturbing a measurement

_COLUMNS = ("p50", "p90", "p99", "max")
_STAGES = {"pre": "pre-processing", "infer": "inference", "post": "post-processing"}


def summary_table(row: Mapping[str, Any]) -> RenderableType:
    """Latency as a table, everything else as lines under it, warnings last."""
    table = Table(title=Text(_title(row)))
    table.add_column("milliseconds")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for key, name in _STAGES.items():
        table.add_row(name, *_cells(summary(np.array(row["samples_us"][key]) / 1000)))
    table.add_row("together", *_cells(row["latency_ms"]), style="bold")
    return Group(table, *(Text(line) for line in (*_lines(row), *_warnings(row))))


def _title(row: Mapping[str, Any]) -> str:
    threads = f"threads: {row['threads'] or 'default'}"
    return f"{row['file']} ({row['precision']}, {row['engine']}, {threads})"


def _cells(values: Mapping[str, float]) -> Iterator[str]:
    return (f"{values[name]:.2f}" for name in _COLUMNS)


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    protocol, measured, warm = row["protocol"], row["measured"], row["warm_up"]
    percentile = f"p{protocol['percentile']}"
    yield (
        f"{protocol['rule']}: {percentile} {row['latency_ms'][percentile]:.2f} ms over "
        f"{measured['iterations']} iterations in {measured['seconds']:.1f} s; "
        f"{row['fps']:.1f} fps end to end"
    )
    stages = row["stages_ms"]
    share = (stages["pre"] + stages["post"]) / stages["infer"]
    yield f"pre- and post-processing: {share:.1%} of inference"
    yield (
        f"warm-up {warm['iterations']} iterations in {warm['seconds']:.1f} s; loading "
        f"{row['load_s']:.2f} s, first inference {row['first_ms']:.0f} ms"
    )
    memory = row["peak_rss_bytes"]
    yield (
        f"spread {row['spread']:.1%}, drift {row['drift']:+.1%}; peak memory "
        f"{'unknown' if memory is None else f'{memory / 1e6:.0f} MB'}; "
        f"detections a photo: {row['photos']['detections']:.0f} ({row['photos']['source']})"
    )
    board, thermal = row["board"], row["thermal"]
    yield f"{board['model'] or board['cpu'] or 'unknown machine'}: {_heat(thermal)}"
    if row["power"]["status"] != NOT_ASKED:
        yield f"energy {_energy(row['power'])}"
    if row["accuracy"]:
        yield _accuracy(row["accuracy"])
    if row["baseline"]:
        other = row["baseline"]
        yield (
            f"AP {_difference(other['AP_difference'])} against {other['file']} "
            f"({other['precision']}, {other['engine']})"
        )
    if row["against"]:
        other = row["against"]
        yield (
            f"{_ratio(other['ratio'])} of the time of {other['file']} ({other['precision']}, "
            f"{other['engine']}; p50 {other['latency_ms']['p50']:.2f} ms), inference alone "
            f"{_ratio(other['infer_ratio'])}"
        )
        if other["AP_difference"]:
            yield f"AP {_difference(other['AP_difference'])} against it"


def _warnings(row: Mapping[str, Any]) -> Iterator[str]:
    protocol, other = row["protocol"], row["against"]
    if not (row["warm_up"]["stable"] and (other is None or other["warm_up"]["stable"])):
        yield (
            f"not stable: in {protocol['warm_up_limit_s']:g} s of warm-up no two windows in a row "
            f"came within {protocol['tolerance']:.0%}"
        )
    if not row["measured"]["complete"]:
        yield (
            f"cut short after {row['measured']['seconds']:.1f} s: the rule asks for "
            f"{protocol['iterations']} iterations and {protocol['seconds']:g} s"
        )
    if (row["others_cores"] or 0) > BUSY:
        yield f"other programs kept {row['others_cores']:.1f} cores busy: figures may be too high"


def _accuracy(found: Mapping[str, Any]) -> str:
    low, high = (100 * each for each in found["AP_interval"])
    figures = ", ".join(f"{name} {_percent(found[name])}" for name in COCO_NAMES)
    return (
        f"{found['data']}, {found['images']} photos, percent: {figures}; "
        f"95% interval of AP {low:.1f} to {high:.1f}"
    )


def _percent(value: float) -> str:
    return "-" if value < 0 else f"{100 * value:.1f}"


def _heat(thermal: Mapping[str, Any]) -> str:
    start, end = thermal["start_c"], thermal["end_c"]
    degrees = "heat unknown" if start is None or end is None else f"{start:.0f} to {end:.0f} °C"
    return f"{degrees}, throttled: {thermal['throttled']}"


def _energy(power: Mapping[str, Any]) -> str:
    if power["status"] != MEASURED:
        return str(power["status"])
    above = power["j_per_frame_above_idle"]
    idle = "" if above is None else f", of which {above:.3f} J above idle"
    return f"{power['j_per_frame']:.3f} J a photo{idle}; mean {power['mean_w']:.2f} W"


def _difference(estimate: Mapping[str, float]) -> str:
    value, low, high = (100 * estimate[key] for key in ("value", "low", "high"))
    return f"{value:+.2f} percent points (95% interval {low:+.2f} to {high:+.2f})"


def _ratio(estimate: Mapping[str, float]) -> str:
    return "{value:.3f} ({low:.3f} to {high:.3f})".format(**estimate)
