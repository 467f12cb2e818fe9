"""metrics.csv and curves.png: what a person looks at while a training runs."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_passd.files import replacing
from quant.run_folder import RunFolder

COLUMNS = (
    "epoch", "input_size", "learning_rate", "loss", "propose_classification",
    "propose_regression", "attend_classification", "attend_regression", "propose_positives",
    "attend_positives", "gradient_norm", "images_per_second", "AP", "AP50", "AP75",
)  # fmt: skip


def write_history(run: RunFolder, history: list[dict[str, Any]]) -> None:
    """Write both files anew from the rows of all finished epochs."""
    with replacing(run.metrics) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for row in history:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    with replacing(run.curves) as temporary:
        draw_curves(temporary, history)


def draw_curves(path: Path, history: list[dict[str, Any]]) -> None:
    """A PNG: losses of both stages on the left, AP on the right, over epochs."""
    # pyplot would start a window system; the object interface only draws.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, accuracy = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    losses.plot(epochs, [row["loss"] for row in history], "k", label="total", linewidth=2)
    for name in COLUMNS[4:8]:
        if name in history[0]:
            losses.plot(epochs, [row[name] for row in history], label=name.replace("_", " "))
    losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    measured = [row for row in history if "AP" in row]
    for name in ("AP50", "AP", "AP75"):
        points = [row["epoch"] for row in measured], [row[name] for row in measured]
        accuracy.plot(*points, marker="o", markersize=3, label=name)
    if measured:
        best = max(measured, key=lambda row: row["AP"])
        accuracy.set_title(f"best AP {best['AP']:.3f} at epoch {best['epoch']}")
        accuracy.legend(loc="lower right")
    accuracy.set(xlabel="epoch", ylabel="average precision on val", ylim=(0, 1))
    for axes in (losses, accuracy):
        axes.grid(alpha=0.3)
        for before, after in pairwise(history):
            if before["input_size"] != after["input_size"]:
                axes.axvline(before["epoch"] + 0.5, color="grey", linestyle=":", linewidth=1)
                axes.annotate(
                    f"{after['input_size']} px",
                    (before["epoch"] + 0.8, 0.99),
                    xycoords=("data", "axes fraction"),
                    verticalalignment="top",
                    color="grey",
                    fontsize=8,
                )
    losses.legend(fontsize=8, loc="upper right", bbox_to_anchor=(1, 0.93))
    figure.savefig(path, dpi=120)
