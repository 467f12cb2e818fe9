"""`edge-passd eval`: accuracy on a data set as a table for people and JSON for scripts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from edge_passd.detector import Detector
from edge_passd.evaluation import COCO_NAMES, evaluate
from edge_passd.files import require_writable, write_text
from edge_passd.samples import DataSet

SCHEMA = 1


@dataclass(frozen=True)
class EvalOptions:
    """model: file or run folder, None for the shipped one; engine to allow_saturation: as in
    `Detector`; json_file: where the figures go, or None."""

    model: Path | None = None
    engine: str = "auto"
    threads: int | None = None
    soft_nms: bool = False
    json_file: Path | None = None
    allow_saturation: bool = False


def measure(options: EvalOptions, data: DataSet, console: Console) -> dict[str, Any]:
    """Measure, print the table, write the JSON; returns what the JSON holds.

    Raises BadInput as `Detector` and `evaluate` do.
    """
    if options.json_file:
        require_writable(options.json_file)  # before the minutes of measuring, not after
    detector = Detector(
        options.model, options.engine, options.threads, options.soft_nms, options.allow_saturation
    )
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(f"{detector.info.name} on {data.name}", total=len(data.samples))
        figures = evaluate(detector, data, lambda done: bars.update(bar, completed=done))
    result = {
        "schema": SCHEMA,
        "model": detector.info.name,
        "precision": detector.info.precision,
        "model_sha256": detector.model_sha256,
        "engine": detector.engine,
        "data": data.name,
        **figures,
    }
    if options.json_file:
        write_text(options.json_file, json.dumps(result, indent=1) + "\n")
    console.print(accuracy_table(result))
    return result


def accuracy_table(result: dict[str, Any]) -> Table:
    """The figures in percent, one row in all and one for each class."""
    table = Table(
        title=f"{result['model']} ({result['precision']}, {result['engine']}) on {result['data']}, "
        f"{result['images']} photos",
        caption="percent; AP is COCO's mean over IoU 0.50 to 0.95, VOC and VOC07 are at IoU 0.5",
    )
    columns = (*COCO_NAMES, "VOC07", "VOC")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_row("all", *[_percent(result[name]) for name in columns], style="bold")
    for name, values in result["per_class"].items():
        table.add_row(name, *[_percent(values.get(column)) for column in columns])
    return table


def _percent(value: float | None) -> str:
    """Without a figure, or for a size that no object has, a dash."""
    return "-" if value is None or value < 0 else f"{100 * value:.1f}"
