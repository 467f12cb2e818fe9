"""The table for people: records as cells of text, each unknown with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_passd.board.record import NOT_ASKED
from edge_passd.report.formats import megabytes, milliseconds, percent, points, significant

UNKNOWN = "-"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """text: what stands there. small: an interval or the like under it. title: more, or why it is
    unknown. is_number: aligned to the right."""

    text: str
    small: str = ""
    title: str = ""
    is_number: bool = True

    @property
    def is_unknown(self) -> bool:
        """Whether there is nothing to show."""
        return self.text == UNKNOWN


@dataclass(frozen=True)
class Column:
    """heading: short. unit: under it. title: what it means. cell: of a record."""

    heading: str
    unit: str
    title: str
    cell: Callable[[Record], Cell]


def _text(key: str) -> Callable[[Record], Cell]:
    return lambda record: Cell(record[key], is_number=False)


def _number(key: str, show: Callable[[float], str], why: str) -> Callable[[Record], Cell]:
    def cell(record: Record) -> Cell:
        value = record[key]
        return Cell(UNKNOWN, title=why) if value is None else Cell(show(value))

    return cell


def _rank(record: Record) -> Cell:
    if record["rank"] is None:
        return Cell(UNKNOWN, title=record["notes"])
    if record["on_pareto_line"]:
        return Cell(f"{record['rank']} ◆", title="on the Pareto line")
    return Cell(str(record["rank"]))


def _artefact(record: Record) -> Cell:
    return Cell(record["artefact"], title=record["model"], is_number=False)


def _threads(record: Record) -> Cell:
    if record["threads"] is None:
        return Cell("default", title="as many as the engine takes by itself", is_number=False)
    return Cell(str(record["threads"]))


def _ap(record: Record) -> Cell:
    if record["AP"] is None:
        return Cell(UNKNOWN, title="accuracy was not measured: bench --data DIR")
    interval = f"{percent(record['AP_low'])} to {percent(record['AP_high'])}"
    return Cell(percent(record["AP"]), interval, f"95% interval, {record['images']} images")


def _difference(record: Record) -> Cell:
    keys = ("baseline_difference", "baseline_difference_low", "baseline_difference_high")
    if record[keys[0]] is None:
        return Cell(UNKNOWN, title="no baseline: bench --baseline ROW")
    value, low, high = (points(record[key]) for key in keys)
    return Cell(value, f"{low} to {high}", f"against {record['baseline']}, 95% interval")


def _ratio(record: Record) -> Cell:
    keys = ("against_ratio", "against_ratio_low", "against_ratio_high")
    if record[keys[0]] is None:
        return Cell(UNKNOWN, title="not measured in turn with another: bench --against OTHER")
    value, low, high = (significant(record[key]) for key in keys)
    other = f"{record['against']} ({record['against_engine']})"
    return Cell(value, f"{low} to {high}", f"its time over that of {other}, 95% interval")


def _energy(record: Record) -> Cell:
    if record["j_per_frame"] is not None:
        return Cell(significant(record["j_per_frame"]))
    if record["power"] == NOT_ASKED:
        return Cell(UNKNOWN, title="not asked for: bench --power")
    return Cell(record["power"], is_number=False)


def _notes(record: Record) -> Cell:
    return Cell(record["notes"] or UNKNOWN, title="" if record["notes"] else "nothing to say",
                is_number=False)  # fmt: skip


COLUMNS = (
    Column("rank", "", "by p50 among the rows that are ranked; ◆ is on the Pareto line", _rank),
    Column("artefact", "", "the file that was measured", _artefact),
    Column("engine", "", "what computed", _text("engine")),
    Column("precision", "", "of the weights", _text("precision")),
    Column("board", "", "the machine", _text("board")),
    Column("threads", "", "of the computation", _threads),
    Column("p50", "ms", "half of the photos were at least as fast, from image in memory to boxes",
           _number("p50_ms", milliseconds, "")),
    Column("p90", "ms", "nine of ten were at least as fast", _number("p90_ms", milliseconds, "")),
    Column("p99", "ms", "99 of 100 were at least as fast", _number("p99_ms", milliseconds, "")),
    Column("fps", "1/s", "one photo after another",
           _number("fps", significant, "the row does not tell")),
    Column("AP", "%", "COCO AP, IoU 0.5 to 0.95, with its 95% interval", _ap),
    Column("AP50", "%", "AP at IoU 0.5", _number("AP50", percent, "accuracy was not measured")),
    Column("to baseline", "points", "AP less that of the baseline, paired by photo", _difference),
    Column("time ratio", "", "over that of another artefact, measured in turn", _ratio),
    Column("memory", "MB", "most memory of the process after its warm-up",
           _number("peak_rss_bytes", megabytes, "the system does not tell")),
    Column("file", "MB", "size of the artefact",
           _number("model_bytes", megabytes, "a folder, not a file")),
    Column("energy", "J/frame", "of all that the meter sees", _energy),
    Column("throttled", "", "whether the board slowed itself down", _text("throttled")),
    Column("notes", "", "what makes it doubtful", _notes),
)  # fmt: skip
