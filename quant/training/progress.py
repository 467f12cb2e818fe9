"""What the terminal shows while a training runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from quant.training.checkpoint import State
from quant.training.trainer import Watch


@contextmanager
def training_progress(
    start: State, steps: int, epochs: int, batch_size: int, quiet: bool
) -> Iterator[Watch]:
    """A bar over all steps with loss, images/s and time left, and a line for each epoch."""
    console = Console(quiet=quiet)
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.2f}  {task.fields[rate]:.1f} images/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(
            "", total=steps, completed=start.step, epoch=f"{start.epoch + 1}/{epochs}",
            loss=0.0, rate=0.0,
        )  # fmt: skip

        def step(state: State, figures: dict[str, float]) -> None:
            progress.update(
                task, completed=state.step, epoch=f"{state.epoch + 1}/{epochs}",
                loss=state.totals["loss"] / state.batch, rate=batch_size / figures["seconds"],
            )  # fmt: skip

        yield Watch(
            step, lambda row: console.print(_line(row, epochs), highlight=False, soft_wrap=True)
        )


def _line(row: dict[str, Any], epochs: int) -> str:
    line = f"epoch {row['epoch']:3d}/{epochs}"
    if "loss" in row:  # not before the first
        line += (
            f"  {row['input_size']} px  loss {row['loss']:6.3f}  positives "
            f"{row['attend_positives']:5.1f}/image  norm {row['gradient_norm']:5.1f}  "
            f"{row['images_per_second']:5.1f} images/s"
        )
    if "AP" in row:
        line += f"  AP {row['AP']:.3f}  AP50 {row['AP50']:.3f}  AP75 {row['AP75']:.3f}"
    return line
