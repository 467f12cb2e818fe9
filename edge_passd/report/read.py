"""Rows from files and folders, each fit to be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edge_passd.bench.row import OK, read_row
from edge_passd.errors import BadInput
from edge_passd.report.values import LARGEST, SMALLEST, legible

REPORT_NAME = "report.json"  # what a report in a folder of rows is called

_CURE = "measure again with `edge-passd bench`"


def read_rows(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of files, and of the .json files in folders; a file that comes twice counts once.

    Strings are legible, latencies are more than 0. Raises BadInput as `read_row` does, for a folder
    without rows, and for figures that cannot be.
    """
    if not paths:
        raise BadInput("no rows; give files that `edge-passd bench --json` wrote, or their folder")
    files = dict.fromkeys(file.resolve() for path in paths for file in _files(path))
    shown = {file.resolve(): file for path in paths for file in _files(path)}
    rows = []
    for file in files:
        row = legible(read_row(shown[file]))
        if row["status"] == OK:
            _require_possible(row, shown[file])
        rows.append(row)
    return rows


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    # What a killed writer left unfinished is hidden.
    found = sorted(
        file
        for file in path.glob("*.json")
        if not file.name.startswith(".") and file.name != REPORT_NAME
    )
    if not found:
        raise BadInput(f"{path}: no rows (.json) in this folder; {_CURE} --json FILE")
    return found


def _require_possible(row: dict[str, Any], path: Path) -> None:
    """What `read_row` lets pass, and no measurement gives: a plot of it would fail or mislead."""
    latency = [row["latency_ms"][key] for key in ("p10", "p50", "p90", "p99")]
    if latency[0] < SMALLEST or latency != sorted(latency) or latency[-1] > LARGEST:
        raise BadInput(f"{path}: 'latency_ms' must be more than 0 and rise to p99; {_CURE}")
    if any(max(each) > LARGEST for each in row["samples_us"].values()):
        raise BadInput(f"{path}: 'samples_us' holds a time that cannot be; {_CURE}")
    if any(each > LARGEST for each in row["stages_ms"].values()):
        raise BadInput(f"{path}: 'stages_ms' holds a time that cannot be; {_CURE}")
    found = row["accuracy"]
    if found is not None:
        shares = [*found["AP_interval"], *found["AP_replicates"]]
        if not all(each is None or 0 <= each <= 1 for each in shares):
            raise BadInput(
                f"{path}: 'accuracy' has an interval or replicates beyond 0 to 1; {_CURE}"
            )
