"""`edge-passd run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_passd.engines.table import AUTO, ENGINES

EXAMPLES = """
\b
Examples:
  edge-passd run --source street.jpg --save boxes.jpg
  edge-passd run model.onnx --source photos/ --save found/ --json found.jsonl
  edge-passd run model.onnx --source "trip/**/*.jpg" --classes dog,cat --conf 0.5
  edge-passd run model.onnx --source drive.mp4 --save boxes.mp4 --engine openvino
  edge-passd run model.onnx --camera 0 --show
  edge-passd run model.onnx --source rtsp://192.168.1.20/live --json - | jq .detections
"""


def _names(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


@click.command(epilog=EXAMPLES)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "--source", metavar="PATH|GLOB|URL", help="Photo, folder, quoted pattern, video, URL."
)
@click.option("--camera", type=click.IntRange(min=0), metavar="N", help="Camera number.")
@click.option(
    "--engine", type=click.Choice([AUTO, *ENGINES]), default=AUTO, show_default=True,
    help="What computes; auto is the first installed that takes the model.",
)  # fmt: skip
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FILE|DIR",
    help="Draw the boxes: a picture for a photo, a folder for many, .mp4 for the rest.",
)  # fmt: skip
@click.option("--json", metavar="FILE|-", help="One JSON line for each frame; - is stdout.")
@click.option("--show", is_flag=True, help="Show a window; q or Esc ends.")
@click.option(
    "--conf", type=click.FloatRange(0, 1), default=0.4, show_default=True, help="Least score."
)
@click.option("--classes", default="", callback=_names, metavar="A,B", help="Only these classes.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Of the engine.")
@click.option("--soft-nms", is_flag=True, help="Lower the score of overlaps, do not drop them.")
@click.option("--max-frames", type=click.IntRange(min=1), metavar="N", help="Stop after N.")
def run(source: str | None, camera: int | None, **options: Any) -> None:
    """Detect in photos, videos, streams and cameras.

    MODEL is an .onnx or .tflite file, a .passd bundle or a run folder; without one, the model that
    ships with the package.
    """
    if (source is None) == (camera is None):
        raise click.UsageError("give either --source or --camera")
    from edge_passd.run import RunOptions
    from edge_passd.run import run as start

    start(RunOptions(source=source or "", camera=camera, **options))
