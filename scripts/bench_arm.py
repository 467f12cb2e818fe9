"""What an inference costs on an ARM board: executed instructions, ours beside other engines.

    .venv/bin/python scripts/bench_arm.py small.passd --against small.onnx --against small.tflite

Each model runs on a photo in an ARM Python on an emulated processor, on one thread, through the
engine that `edge-passd run` takes for it, and a plugin of the emulator counts. So the figures need
no board, and are the same each time. They are a measure of work, not of time: an instruction that
waits for memory counts as any other. Needs `scripts/setup_arm`; float models take minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from arm.emulator import CPUS, cannot_count
from arm.measure import Cost, cost
from arm.sizes import board_sizes
from arm.tables import by_operator, comparison, sizes
from edge_passd.errors import BadInput
from edge_passd.files import write_text

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("models", nargs=-1, type=FILE)
@click.option("--against", multiple=True, type=FILE, help="A model for another engine.")
@click.option("--cpu", type=click.Choice(CPUS), default=CPUS[0], show_default=True)
@click.option("--times", default=1, show_default=True, help="Inferences to take the mean of.")
@click.option("--sizes", "with_sizes", is_flag=True, help="Also what each takes on the board.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures.")
def main(
    models: tuple[Path, ...],
    against: tuple[Path, ...],
    cpu: str,
    times: int,
    with_sizes: bool,
    json_file: Path | None,
) -> None:
    """Count, print the tables, write the figures."""
    if not models and not against and not with_sizes:
        raise click.UsageError("nothing to measure: name a model, or --sizes")
    console = Console(stderr=True)
    result: dict[str, Any] = {"cpu": cpu, "threads": 1, "times": times}
    try:
        if (models or against) and (reason := cannot_count()):
            raise BadInput(reason)
        result["models"] = []
        for model in (*models, *against):
            with console.status(f"counting {model.name}"):
                result["models"].append(_record(cost(model, cpu, times)))
        result["bytes"] = board_sizes() if with_sizes else {}
    except (BadInput, ChildProcessError) as error:
        raise click.UsageError(str(error)) from error
    click.echo("\n".join(_tables(result)))
    if json_file:
        write_text(json_file, json.dumps(result, indent=1) + "\n")


def _record(cost: Cost) -> dict[str, Any]:
    return {
        "file": cost.file.name,
        "bytes": cost.file.stat().st_size,
        "engine": cost.engine,
        "precision": cost.model.precision,
        "classes": len(cost.model.classes) + 1,
        "input_size": cost.model.input_size,
        "executed": cost.executed,
        "operators": cost.operators,
    }


def _tables(result: dict[str, Any]) -> Iterator[str]:
    if result["models"]:
        yield comparison(result["models"], result["cpu"])
    yield from (by_operator(each) for each in result["models"] if each["operators"])
    if result["bytes"]:
        yield sizes(result["bytes"])


if __name__ == "__main__":
    main()
