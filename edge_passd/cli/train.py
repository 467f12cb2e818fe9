"""`edge-passd train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_passd.cli.loop_options import loop_options

EXAMPLES = """
\b
Examples:
  # from ImageNet weights, 60 epochs, then look at runs/animals/curves.png
  edge-passd train --data animals --init mobilenet_v1.safetensors --out runs/animals
  # it was interrupted: go on as if nothing had happened
  edge-passd train --resume --out runs/animals
  # quicker: small pictures first, the full 320 px for the last quarter of the epochs
  edge-passd train --data animals --init W.safetensors --sizes 192:0.45,256:0.3 --out runs/a
  # four GPUs
  torchrun --nproc-per-node 4 -m edge_passd train --data animals --out runs/big

\b
DIR holds COCO JSON (train.json, val.json, images/) or a VOC folder
(Annotations/, JPEGImages/, ImageSets/Main/train.txt and val.txt).
"""


@click.command(epilog=EXAMPLES)
@click.option("--data", type=click.Path(path_type=Path), help="Data set; needed for a new run.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--init", type=click.Path(path_type=Path), help="Backbone weights, .safetensors.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, as it was started.")
@click.option("--backbone", type=click.Choice(["mobilenet"]), default="mobilenet")
@click.option("--input-size", default=320, show_default=True, help="A multiple of 64, pixels.")
@click.option("--head", default="propose-attend", show_default=True, help="Row of the ablation.")
@click.option("--small-boxes", is_flag=True, help="COCO's default boxes, a step smaller.")
@click.option("--point-gradient", is_flag=True, help="Let the attend loss move the boxes too.")
@click.option("--epochs", default=60, show_default=True)
@click.option("--batch-size", default=32, show_default=True, help="Over all processes.")
@click.option("--optimiser", type=click.Choice(["adamw", "sgd"]), default="adamw")
@click.option("--lr", "learning_rate", type=float, default=4e-4, show_default=True)
@click.option("--weight-decay", type=float, default=0.01, show_default=True)
@click.option("--schedule", type=click.Choice(["cosine", "steps"]), default="cosine")
@click.option("--warmup-epochs", type=float, default=1.0, show_default=True)
@click.option("--sizes", default="", help="Progressive resizing: SIZE:SHARE of the epochs, ...")
@click.option("--zoom-out", type=float, default=0.5, show_default=True, help="How often, 0-1.")
@click.option("--zoom-out-max", type=float, default=4.0, show_default=True, help="Largest canvas.")
@loop_options
def train(  # one parameter for each option
    data: Path | None,
    out: Path,
    resume: bool,
    init: Path | None,
    head: str,
    small_boxes: bool,
    point_gradient: bool,
    input_size: int,
    sizes: str,
    zoom_out: float,
    zoom_out_max: float,
    workers: int | None,
    backbone: str,  # there is one yet
    **options: Any,
) -> None:
    """Train MobileNet-PASSD on your photos.

    The run folder gets the best weights, metrics.csv and curves.png after every epoch, and a
    checkpoint every two minutes: stop it at any moment and go on with --resume.
    """
    from edge_passd.boxes import COCO_SCALES, VOC_SCALES
    from quant.data.augment import AugmentConfig
    from quant.training import train as training
    from quant.training.config import TrainConfig, parse_sizes

    if resume:
        best = training.resume(out)
    elif data is None:
        raise click.UsageError("--data DIR is needed to start a run (or --resume to go on)")
    else:
        config = TrainConfig(
            data=str(data.absolute()),
            init=str(init.absolute()) if init else None,
            sizes=parse_sizes(sizes),
            augment=AugmentConfig(zoom_out=zoom_out, zoom_out_max=zoom_out_max),
            workers=training.default_workers() if workers is None else workers,
            **options,
        )
        scales = COCO_SCALES if small_boxes else VOC_SCALES
        best = training.start(out, config, head, input_size, scales, point_gradient)
    if best is None:  # not the first of several processes
        return
    click.echo(f"best AP on val: {best:.3f}   weights, metrics.csv and curves.png: {out}")
    click.echo(f"next: edge-passd export {out} -o model.onnx")
