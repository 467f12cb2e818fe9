"""`edge-passd eval`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_passd.cli.options import ALLOW_SATURATION

EXAMPLES = """
\b
Examples:
  edge-passd eval --data animals                       # the model that ships with the package
  edge-passd eval model.onnx --data animals
  edge-passd eval runs/animals --data animals --json figures.json
  edge-passd eval model.onnx --data animals --engine openvino
"""


@click.command(epilog=EXAMPLES)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@click.option("--split", default="val", show_default=True)
@click.option("--engine", default="auto", show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Of the computation; by default the engine's choice.",
)
@click.option("--allow-saturation", is_flag=True, help=ALLOW_SATURATION)
@click.option("--soft-nms", is_flag=True, help="Lower overlapping scores instead of dropping.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures.")
def evaluate(
    model: Path | None,
    data: Path,
    split: str,
    engine: str,
    threads: int | None,
    allow_saturation: bool,
    soft_nms: bool,
    json_file: Path | None,
) -> None:
    """Measure a model's accuracy: COCO AP and VOC mAP, in all and per class.

    MODEL is an .onnx or .tflite file, a .passd bundle or a run folder; without one, the model that
    ships with the package.
    It is measured through the same detector that `run` uses.
    """
    from rich.console import Console

    from edge_passd.measure import EvalOptions, measure
    from quant.data.reader import read_split

    options = EvalOptions(model, engine, threads, soft_nms, json_file, allow_saturation)
    measure(options, read_split(data, split), Console())
