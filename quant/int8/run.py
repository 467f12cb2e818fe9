"""`edge-passd qat`: from a float run to an int8 one, by calibration alone or with training."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.evaluation import evaluate
from edge_passd.files import read_json, write_text
from edge_passd.samples import DataSet
from quant.data.reader import read_split, spread_photos
from quant.data.torch_dataset import TrainingSet
from quant.engine import TorchEngine
from quant.int8.calibrate import calibrate
from quant.int8.convert import quantise
from quant.int8.saturation import PHOTOS, check_without_vnni
from quant.int8.scheme import Scheme
from quant.model import PASSD
from quant.run_folder import RunFolder, load_run
from quant.tensors import write_tensors
from quant.training.config import TrainConfig
from quant.training.distributed import join
from quant.training.train import checked_data, watched
from quant.training.trainer import Trainer

# A detector below this AP has learned next to nothing: rounding it teaches it no more.
LEAST_AP = 0.02


def train_quantised(source: Path, out: Path, config: TrainConfig, scheme: Scheme) -> float | None:
    """QAT: calibrate the float run `source`, then fine-tune on the grids into `out`.

    config.data: the data set, of the run's classes. The scales of activations stay as calibrated,
    the weights' follow the weights. Returns the best validation AP, None in all processes but the
    first. Raises BadInput for a run that cannot be quantised, other classes, bad data, a folder
    that already holds a run, or divergence.
    """
    run = _new_run(out)
    model = float_model(source)
    processes = join()
    train, val, photos = checked_data(Path(config.data), processes)
    require_classes(model, train, source)
    console = Console(quiet=not processes.first, stderr=True)
    model = calibrated(model, train, scheme, console)
    pictures = TrainingSet(train, photos, config.augment, config.seed)
    trainer = Trainer(run, config, model, pictures, val, processes, norms_loaded=True)
    if processes.first:
        run.write_model(model.config, {}, scheme)
        trainer.save()  # the calibrated ranges: nothing else has them
        write_text(run.training, json.dumps(config.to_dict(), indent=1) + "\n")
    return watched(trainer)


def calibrate_only(source: Path, out: Path, data: Path, scheme: Scheme, console: Console) -> float:
    """PTQ: calibrate the float run `source` and measure it, into `out`; returns the AP on val.

    Raises BadInput as `train_quantised` does.
    """
    run = _new_run(out)
    model = float_model(source)
    train, val = checked_data(data, join())[:2]
    require_classes(model, train, source)
    model = calibrated(model, train, scheme, console)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("measuring", total=len(val.samples))
        detector = Detector.from_engine(TorchEngine.of(model))
        figures = evaluate(detector, val, lambda done: bars.update(bar, completed=done))
    write_tensors(run.best, model.state_dict(), {})
    run.write_model(model.config, figures, scheme)
    write_text(run.training, json.dumps({"data": str(data)}, indent=1) + "\n")
    return float(figures["AP"])


def check_run(path: Path, console: Console) -> None:
    """Say what x86 processors without VNNI make of a finished int8 run, and note it in the run.

    On photos of the validation split.
    """
    run = RunFolder(path)
    model, figures = load_run(path)
    val = read_split(Path(str(read_json(run.training).get("data"))), "val")
    record = check_without_vnni(model, spread_photos(val, PHOTOS), console)
    run.write_model(model.config, {**figures, "x86": record.to_dict()}, model.scheme)


def float_model(source: Path) -> PASSD:
    """The best weights of a float run; BadInput for a quantised, random or untrained one."""
    if not RunFolder(source).best.is_file() and RunFolder(source).model.is_file():
        raise BadInput(
            f"{source}: no trained weights yet; quantisation from random weights stays at 0 AP: "
            "let `edge-passd train` measure an epoch first"
        )
    model, figures = load_run(source)
    if model.scheme is not None:
        raise BadInput(f"{source} is quantised already; start from the float run")
    if figures.get("AP", 0.0) < LEAST_AP:
        raise BadInput(
            f"{source}: AP {figures.get('AP', 0.0):.3f} is no better than random weights, from "
            "which quantisation learns nothing; train it longer first"
        )
    return model


def require_classes(model: PASSD, data: DataSet, source: Path) -> None:
    """Raise BadInput unless the data set has the run's classes in the run's order."""
    if data.classes != model.config.classes:
        raise BadInput(
            f"{data.name}: classes {', '.join(data.classes)}; the run {source} was trained for "
            f"{', '.join(model.config.classes)}"
        )


def calibrated(model: PASSD, train: DataSet, scheme: Scheme, console: Console) -> PASSD:
    """A quantised copy of a float model with the ranges that the training photos give."""
    photos = spread_photos(train, scheme.photos)
    if len(photos) < scheme.photos:
        line = f"{train.name}: {len(photos)} photos to calibrate with, not {scheme.photos}"
        console.print(line, highlight=False, soft_wrap=True)
    model = quantise(model, scheme)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("calibrating")
        calibrate(model, photos, scheme, lambda n, all_: bars.update(bar, completed=n, total=all_))
    return model


def _new_run(out: Path) -> RunFolder:
    run = RunFolder(out)
    if run.training.exists():
        raise BadInput(f"{out}: holds a run already; go on with --resume or name another --out")
    return run
