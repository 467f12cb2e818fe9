"""`edge-passd export`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """
\b
Examples:
  edge-passd export runs/animals -o animals.onnx
  edge-passd export runs/animals -o animals.onnx --half       # half the file, same speed
  edge-passd export runs/animals-int8 -o animals.tflite       # for a TFLite runtime
  edge-passd export runs/animals -o animals.onnx --data animals --photos 500
"""


@click.command(epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Photos to check with; default: RUN's."
)
@click.option(
    "--photos",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many, of the val split.",
)
@click.option("--half", is_flag=True, help="Store float weights as float16 (.onnx).")
def export(run: Path, output: Path, data: Path | None, photos: int, half: bool) -> None:
    """Write a run's best model as .onnx (onnxruntime, OpenVINO) or .tflite, and check it.

    The engines must compute what the torch model computes, on real photos: in float boxes within
    0.01 px, scores within 1e-4, the same detections; in int8 the same up to rounding (85% of the
    detections). Otherwise nothing is replaced. Of an int8 model it says which share of the
    convolutions each engine really runs on integers.
    """
    from rich.console import Console

    from quant.export.export import ExportOptions
    from quant.export.export import export as export_run

    info = export_run(ExportOptions(run, output, data, photos, half), Console())
    size = output.stat().st_size / 1e6
    click.echo(
        f"{output}: {info.name}, {len(info.classes)} classes, {info.precision}, {size:.1f} MB"
    )
    click.echo(f"next: edge-passd run {output} --source photo.jpg --save out.jpg")
