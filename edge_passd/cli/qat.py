"""`edge-passd qat`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_passd.cli.loop_options import loop_options

EXAMPLES = """
\b
Examples:
  # fine-tune with int8 arithmetic in the loop, then write the file for the board
  edge-passd qat runs/animals --data animals --out runs/animals-int8
  edge-passd export runs/animals-int8 -o animals.onnx
  # it was interrupted: go on as if nothing had happened
  edge-passd qat --resume --out runs/animals-int8
  # calibration only: a minute instead of an hour, and some accuracy
  edge-passd qat runs/animals --data animals --ptq --out runs/animals-ptq
  # where is accuracy lost? then leave that in float
  edge-passd qat runs/animals --data animals --sensitivity --out runs/sensitivity
  edge-passd qat runs/animals --data animals --keep-float backbone.stem --out runs/mixed
"""


@click.command(epilog=EXAMPLES)
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data set of the run's classes.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New run folder.")
@click.option("--resume", is_flag=True, help="Go on with the QAT in --out, as it was started.")
@click.option("--ptq", is_flag=True, help="Calibrate only, do not train.")
@click.option("--sensitivity", is_flag=True, help="Rank layer groups by the AP that int8 costs.")
@click.option("--calibration", default="minmax", show_default=True, help="minmax or mse.")
@click.option("--bias-correction/--no-bias-correction", default=True, show_default=True)
@click.option(
    "--weight-bits",
    default=7,
    show_default=True,
    help="7: right on every processor; 8: finer, wrong on x86 without VNNI.",
)
@click.option("--photos", default=256, show_default=True, help="For the calibration.")
@click.option(
    "--keep-float", multiple=True, metavar="NAME", help="A layer or group; may be repeated."
)
@click.option("--epochs", default=12, show_default=True)
@click.option("--batch-size", default=32, show_default=True, help="Over all processes.")
@click.option("--lr", "learning_rate", type=float, default=1e-4, show_default=True)
@click.option("--zoom-out", type=float, default=0.3, show_default=True, help="How often, 0-1.")
@click.option("--zoom-out-max", type=float, default=2.0, show_default=True, help="Largest canvas.")
@loop_options
def qat(
    run: Path | None,
    data: Path | None,
    out: Path,
    resume: bool,
    ptq: bool,
    sensitivity: bool,
    calibration: Any,
    bias_correction: bool,
    photos: int,
    keep_float: tuple[str, ...],
    weight_bits: int,
    zoom_out: float,
    zoom_out_max: float,
    workers: int | None,
    **options: Any,
) -> None:
    """Make an int8 run from a trained float RUN (quantisation-aware training).

    Activations become u8, weights s8 for each channel; boxes, softmax and sampling stay float.
    Ranges are calibrated on training photos, then the weights are fine-tuned on the int8 grids.
    """
    from rich.console import Console

    from quant.data.augment import AugmentConfig
    from quant.int8 import run as int8
    from quant.int8.scheme import Scheme
    from quant.training import train as training
    from quant.training.config import TrainConfig

    best: float | None
    if resume:
        best = training.resume(out)
    elif run is None or data is None:
        raise click.UsageError("RUN and --data DIR are needed (or --resume to go on)")
    elif ptq and sensitivity:
        raise click.UsageError("--ptq and --sensitivity are two things; give one of them")
    else:
        scheme = Scheme(calibration, bias_correction, photos, keep_float, weight_bits)
        console = Console(stderr=True)
        if sensitivity:
            from quant.int8.sensitivity import rank

            rank(run, out, data, scheme, console)
            return
        if ptq:
            best = int8.calibrate_only(run, out, data.absolute(), scheme, console)
        else:
            config = TrainConfig(
                data=str(data.absolute()),
                augment=AugmentConfig(zoom_out=zoom_out, zoom_out_max=zoom_out_max),
                workers=training.default_workers() if workers is None else workers,
                **options,
            )
            best = int8.train_quantised(run, out, config, scheme)
    if best is None:  # not the first of several processes
        return
    int8.check_run(out, Console(stderr=True))
    click.echo(f"best AP on val, int8: {best:.3f}   weights: {out}")
    click.echo(f"next: edge-passd export {out} -o model.onnx")
