"""`edge-passd train`: from a data set and a recipe to a run folder."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge_passd.boxes import VOC_SCALES, strides_for
from edge_passd.errors import BadInput
from edge_passd.files import discard_partials, read_json, write_text
from edge_passd.samples import DataSet
from quant.data.checks import check, check_classes
from quant.data.photos import PhotoCache
from quant.data.reader import read_split
from quant.data.torch_dataset import TrainingSet
from quant.int8.convert import quantise
from quant.model import PASSD, ModelConfig
from quant.model.config import HEADS
from quant.model.weights import load_backbone
from quant.run_folder import RunFolder
from quant.training.config import TrainConfig
from quant.training.distributed import Processes, join
from quant.training.progress import training_progress
from quant.training.trainer import Trainer, random_model


def start(
    out: Path,
    config: TrainConfig,
    head: str,
    input_size: int,
    scales: tuple[float, ...] = VOC_SCALES,
    point_gradient: bool = False,
) -> float | None:
    """Train a new run; returns its best validation AP, None in all processes but the first.

    head: a row of `quant.model.config.HEADS`. The rest: see `ModelConfig`.
    Raises BadInput for bad data, weights, a folder that already holds a run, or divergence.
    """
    run = RunFolder(out)
    if head not in HEADS:
        raise BadInput(f"no head {head!r}; there are {', '.join(HEADS)}")
    if input_size < 64 or input_size % 64:
        raise BadInput(f"input size {input_size} is not a multiple of 64")
    for size, _ in config.sizes:
        if strides_for(size) != strides_for(input_size):
            raise BadInput(
                f"sizes: a model of {input_size} px cannot train at {size} px, which has another "
                "number of pyramid levels; stay on one side of 768 px"
            )
    if run.training.exists():
        raise BadInput(f"{out}: holds a run already; go on with --resume or name another --out")
    processes = join()
    train, val, photos = checked_data(Path(config.data), processes)
    shape = ModelConfig(
        train.classes, input_size, scales, point_gradient=point_gradient, **HEADS[head]
    )
    model = random_model(shape, config.seed)
    if config.init:
        expected = load_backbone(model.backbone, Path(config.init))
        model = _with_input(model, expected.mean, expected.std)
    pictures = TrainingSet(train, photos, config.augment, config.seed)
    with _console(processes).status("preparing the model"):
        trainer = Trainer(run, config, model, pictures, val, processes, bool(config.init))
    # Not before: what a trainer refuses must not leave a folder that looks like a run.
    if processes.first:
        run.write_model(model.config, {})
        write_text(run.training, json.dumps(config.to_dict(), indent=1) + "\n")
    return watched(trainer)


def resume(out: Path) -> float | None:
    """Go on with the run in `out` where its checkpoint stands; returns as `start`."""
    run = RunFolder(out)
    if not run.training.is_file():
        raise BadInput(f"{out}: holds no run to resume; start one without --resume")
    config = TrainConfig.from_dict(read_json(run.training, "a run's training.json"), run.training)
    processes = join()
    if processes.first:
        discard_partials(out)
    train, val, photos = checked_data(Path(config.data), processes)
    model_config, _, scheme = run.read_model()
    if model_config.classes != train.classes:
        raise BadInput(
            f"{config.data}: classes {', '.join(train.classes)}; the run in {out} was started "
            f"with {', '.join(model_config.classes)}"
        )
    model = random_model(model_config, config.seed)
    if scheme:
        if not run.checkpoint.is_file():
            raise BadInput(f"{out}: calibrated only, there is no training to go on with")
        model = quantise(model, scheme)
    if config.init and not run.checkpoint.is_file():
        load_backbone(model.backbone, Path(config.init))
    pictures = TrainingSet(train, photos, config.augment, config.seed)
    frozen_norms = bool(config.init or scheme)
    return watched(Trainer(run, config, model, pictures, val, processes, frozen_norms))


def watched(trainer: Trainer) -> float | None:
    """Train to the end under a progress bar; returns as `start`."""
    config, quiet = trainer.config, not trainer.processes.first
    with training_progress(
        trainer.state, trainer.steps, config.epochs, config.batch_size, quiet
    ) as watch:
        best = trainer.train(watch).best
    return best if trainer.processes.first else None


def checked_data(root: Path, processes: Processes) -> tuple[DataSet, DataSet, PhotoCache]:
    """Both splits, checked, and the decoded training photos."""
    train, val = read_split(root, "train"), read_split(root, "val")
    check_classes(train, val)
    console = _console(processes)
    photos = PhotoCache()
    with Progress(console=console, transient=True) as bars:
        train = _checked(train, photos, console, bars)
        val = _checked(val, PhotoCache(limit=0), console, bars)
    return train, val, photos


def _checked(data: DataSet, photos: PhotoCache, console: Console, bars: Progress) -> DataSet:
    bar = bars.add_task(f"checking {len(data.samples)} photos of {data.name}")
    data, report = check(data, photos, lambda n, all_: bars.update(bar, completed=n, total=all_))
    console.print(str(report), highlight=False, soft_wrap=True)
    return data


def _console(processes: Processes) -> Console:
    return Console(quiet=not processes.first, stderr=True)


def _with_input(model: PASSD, mean: tuple[float, ...], std: tuple[float, ...]) -> PASSD:
    config = dataclasses.replace(model.config, mean=mean, std=std)
    other = PASSD(config)
    other.load_state_dict(model.state_dict())
    return other


def default_workers() -> int:
    """Loader processes: none where training itself needs both cores."""
    cores = os.cpu_count() or 1
    return 0 if cores <= 2 else min(8, cores - 2)
