"""Where and how a row was measured, as terms and what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edge_passd.report.cells import UNKNOWN, Cell
from edge_passd.report.comparison import Entry
from edge_passd.report.formats import megabytes, milliseconds, percent, significant
from edge_passd.report.values import at, number, text

Row = Mapping[str, Any]


class Fact(NamedTuple):
    """A term, and what it is in this row."""

    term: str
    cell: Cell


def environment(row: Row) -> list[Fact]:
    """The machine, its clocks and its libraries."""
    memory = number(row, "board.memory_bytes")
    return [
        _text(row, "board", "board.model", "the machine does not tell its name"),
        _text(row, "host", "remote", "measured without --remote"),
        _text(row, "processor", "board.cpu"),
        _number(row, "cores", "board.cores"),
        Fact("memory", _cell(f"{memory / 1e9:.1f} GB" if memory else None)),
        _text(row, "kernel", "board.kernel"),
        _text(row, "JetPack", "board.jetpack", "no Jetson, or it does not tell"),
        _text(row, "L4T", "board.l4t", "no Jetson, or it does not tell"),
        _text(row, "power mode", "board.power_mode", "no nvpmodel here"),
        _text(row, "governor", "board.clocks.governor", "the system does not tell"),
        Fact("clocks locked", _cell(_yes_or_no(at(row, "board.clocks_locked")))),
        Fact("CPU clock", _range(row, "thermal.cpu_mhz_min", "thermal.cpu_mhz_max", "MHz")),
        Fact("GPU clock", _range(row, "thermal.gpu_mhz_min", "thermal.gpu_mhz_max", "MHz")),
        Fact("heat", _range(row, "thermal.start_c", "thermal.max_c", "°C")),
        Fact("throttled", Cell(row["thermal"]["throttled"], text(row, "thermal.throttled_reason")
                               or "", is_number=False)),
        Fact("versions", _cell(_versions(row["versions"]))),
    ]  # fmt: skip


def protocol(row: Row) -> list[Fact]:
    """The rule, what was done of it, and what else ran."""
    rule, warm, measured, photos = (
        row[key] for key in ("protocol", "warm_up", "measured", "photos")
    )
    tolerance, window = number(rule, "tolerance"), number(rule, "window_s")
    asked = f"{rule['rule']}: at least {rule['iterations']:,} photos and {rule['seconds']:g} s"
    until = (
        f"until two windows of {window:g} s agree within {tolerance:.0%}"
        if tolerance is not None and window is not None
        else None
    )
    stable = "stable" if warm["stable"] else "not stable"
    whole = "" if measured["complete"] else ", cut short"
    affinity = row["affinity"]
    return [
        Fact("rule", _cell(asked)),
        Fact("warm-up rule", _cell(until)),
        Fact("warm-up", _cell(f"{warm['iterations']:,} photos, {warm['seconds']:.1f} s, {stable}")),
        Fact("measured",
             _cell(f"{measured['iterations']:,} photos, {measured['seconds']:.1f} s{whole}")),
        Fact("photos", _cell(f"{photos['count']} ({photos['source']}); "
                             f"detections a photo: {photos['detections']:.3g}")),
        Fact("spread and drift",
             _cell(f"{significant(100 * row['spread'])}%, {100 * row['drift']:+.1f}%")),
        Fact("loading, first photo",
             _cell(f"{row['load_s']:.2f} s, {milliseconds(row['first_ms'])} ms")),
        Fact("cores that others used",
             _cell(_optional(number(row, "others_cores")), "the system does not tell")),
        Fact("affinity", _cell(_cores(affinity), "the system does not tell")),
        Fact("cores used", _cell(_optional(row["cores_used"]), "two artefacts took turns")),
        _text(row, "NMS", "nms"),
        Fact("energy", _cell(row["power"]["status"])),
        _text(row, "meter", "power.measures", "no meter was read"),
        Fact("mean power", _cell(_optional(number(row, "power.mean_w"), " W"), "not measured")),
        Fact("measured on", _cell(row["created"])),
    ]  # fmt: skip


def identity(row: Row) -> list[Fact]:
    """The artefact."""
    training = row["training"]
    target = at(row, "target.triple") or at(row, "target.board")
    size = row["model_bytes"]
    return [
        _text(row, "model", "model"),
        Fact("file", _cell(f"{row['file']}, {megabytes(size)} MB" if size else row["file"])),
        _text(row, "sha256", "model_sha256", "a folder, not a file"),
        Fact("input", _cell(f"{row['input_size']} px")),
        Fact("classes", _cell(_listed(row["classes"]))),
        _text({"target": target}, "target", "target", "not compiled for a target"),
        Fact("multiply-adds", _cell(_millions(number(row, "macs")), "counted for bundles only")),
        Fact("compiler", _cell(_versions(at(row, "compiler")), "not compiled")),
        Fact("int8 share", _cell(None if row["int8_share"] is None else
                                 f"{percent(row['int8_share'])}%", "nobody counted")),
        Fact("trained", _cell(_optional(number(training, "images"), " images in its validation"))),
    ]  # fmt: skip


def parity(entries: Sequence[Entry]) -> list[list[Cell]]:
    """A row of cells for each comparison with its source that an artefact carries along."""
    return [
        [
            Cell(entry.label, is_number=False),
            Cell(text(each, "engine") or entry.row["engine"], is_number=False),
            _figure(each, "photos"),
            _figure(each, "boxes", "mean_box_error"),
            _figure(each, "scores", "mean_score_error"),
            _share(each, "matched"),
        ]
        for entry in entries
        for each in entry.row["parity"]
    ]


PARITY_HEADINGS = (
    ("artefact", ""),
    ("engine", ""),
    ("photos", ""),
    ("boxes, largest error (mean)", "px"),
    ("scores, largest error (mean)", ""),
    ("detections found again", "%"),
)


def _figure(values: Row, key: str, mean_key: str = "") -> Cell:
    value, mean = number(values, key), number(values, mean_key)
    if value is None:
        return Cell(UNKNOWN, title="the record does not tell")
    return Cell(significant(value), "" if mean is None else significant(mean, 2))


def _share(values: Row, key: str) -> Cell:
    value = number(values, key)
    if value is None:
        return Cell(UNKNOWN, title="the record does not tell")
    return Cell(percent(value))


def _text(row: Row, term: str, path: str, why: str = "unknown") -> Fact:
    return Fact(term, _cell(text(row, path), why))


def _number(row: Row, term: str, path: str) -> Fact:
    return Fact(term, _cell(_optional(number(row, path))))


def _cell(value: str | None, why: str = "unknown") -> Cell:
    if value is None:
        return Cell(UNKNOWN, title=why, is_number=False)
    return Cell(value, is_number=False)


def _optional(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{value:.3g}{unit}"


def _range(row: Row, low_path: str, high_path: str, unit: str) -> Cell:
    low, high = number(row, low_path), number(row, high_path)
    if low is None or high is None:
        return _cell(None, "could not be read on this machine")
    return _cell(f"{low:.0f} {unit}" if low == high else f"{low:.0f} to {high:.0f} {unit}")


def _versions(values: Any) -> str | None:
    if not isinstance(values, Mapping):
        return None
    listed = [f"{key} {value}" for key, value in values.items() if isinstance(value, str)]
    return ", ".join(listed) or None


def _yes_or_no(value: Any) -> str | None:
    return {True: "yes", False: "no"}.get(value) if isinstance(value, bool) else None


def _cores(affinity: list[int] | None) -> str | None:
    return None if affinity is None else f"cores {_listed(list(map(str, affinity)), 32)}"


def _millions(macs: float | None) -> str | None:
    return None if macs is None else f"{macs / 1e6:,.0f} million a photo"


def _listed(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
