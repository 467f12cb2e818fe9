"""One flat record for each measured row: what the tables show, and scripts of others read."""

from __future__ import annotations

from typing import Any

from edge_passd.bench.row import is_number
from edge_passd.report.comparison import Comparison, Entry
from edge_passd.report.doubts import row_doubts
from edge_passd.report.values import number, text

RANK, ARTEFACT = "rank", "artefact"


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """The record of each measured row, in the order of the page."""
    return [record(entry) for entry in comparison.entries]


def record(entry: Entry) -> dict[str, Any]:
    """Numbers as they were measured, None for what is unknown; AP and its differences are 0-1."""
    row = entry.row
    found = row["accuracy"] if entry.ap is not None else None
    low, high = found["AP_interval"] if found else (None, None)
    return {
        "number": entry.number,
        RANK: entry.rank,
        "on_pareto_line": entry.on_line,
        ARTEFACT: row["file"],
        "model": row["model"],
        "engine": row["engine"],
        "precision": row["precision"],
        "board": entry.board,
        "threads": row["threads"],
        **{f"{key}_ms": number(row, f"latency_ms.{key}") for key in _LATENCY},
        **{f"{key}_ms": number(row, f"stages_ms.{key}") for key in _STAGES},
        "fps": number(row, "fps"),
        "data": found["data"] if found else None,
        "data_sha256": found["data_sha256"] if found else None,
        "images": found["images"] if found else None,
        "AP": entry.ap,
        "AP_low": low,
        "AP_high": high,
        "AP50": _known_ap(found["AP50"]) if found else None,
        "baseline": text(row, "baseline.file") or text(row, "baseline.model"),
        **_estimate(row, "baseline.AP_difference", "baseline_difference"),
        "against": text(row, "against.file") or text(row, "against.model"),
        "against_engine": text(row, "against.engine"),
        **_estimate(row, "against.ratio", "against_ratio"),
        "peak_rss_bytes": row["peak_rss_bytes"],
        "model_bytes": row["model_bytes"],
        "int8_share": row["int8_share"],
        "j_per_frame": number(row, "power.j_per_frame"),
        "power": row["power"]["status"],
        "throttled": row["thermal"]["throttled"],
        "others_cores": number(row, "others_cores"),
        "notes": "; ".join(row_doubts(entry)),
        "model_sha256": row["model_sha256"],
        "remote": text(row, "remote"),
        "created": row["created"],
    }


def failures(comparison: Comparison) -> list[dict[str, Any]]:
    """What could not be measured, and why."""
    keys = ("file", "engine", "status", "reason", "created")
    return [
        {**{key: row[key] for key in keys}, "remote": text(row, "remote")}
        for row in comparison.failures
    ]


_LATENCY = ("p10", "p50", "p90", "p99")
_STAGES = ("pre", "infer", "post")


def _known_ap(value: float) -> float | None:
    return value if value >= 0 else None


def _estimate(row: Any, path: str, name: str) -> dict[str, float | None]:
    """The value under `name` itself, its interval under name_low and name_high."""
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    values = {key: number(row, f"{path}.{part}") for part, key in keys.items()}
    return values if all(map(is_number, values.values())) else dict.fromkeys(values)
