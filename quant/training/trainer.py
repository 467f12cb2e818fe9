"""The training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import nn

from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.evaluation import evaluate
from edge_passd.samples import DataSet
from quant.data.torch_dataset import Batch, EpochSampler, TrainingSet, loader
from quant.engine import TorchEngine
from quant.model import PASSD, ModelConfig
from quant.run_folder import RunFolder
from quant.tensors import write_tensors
from quant.training.checkpoint import State, load_checkpoint, save_checkpoint
from quant.training.config import TrainConfig
from quant.training.curves import write_history
from quant.training.distributed import Processes
from quant.training.divergence import guard
from quant.training.loss import DefaultBoxes, StageLoss, passd_loss
from quant.training.optimiser import (
    WeightAverage,
    freeze,
    gradient_norm,
    make_optimiser,
    set_learning_rate,
)
from quant.training.scales import set_offset_scales, with_absorbed_scales

# Pictures whose statistics a norm without pre-trained ones gets before all norms are frozen.
CALIBRATION_BATCHES = 16


@dataclass(frozen=True)
class Watch:
    """Whom the loop tells what: `step` after every step, `epoch` with every finished row."""

    step: Callable[[State, dict[str, float]], None]
    epoch: Callable[[dict[str, Any]], None]


class Trainer:
    """Trains one run folder to its last epoch; resumes where its checkpoint stands."""

    def __init__(
        self,
        run: RunFolder,
        config: TrainConfig,
        model: PASSD,
        train: TrainingSet,
        val: DataSet,
        processes: Processes,
        norms_loaded: bool,
    ) -> None:
        self.run, self.config, self.val, self.train_set = run, config, val, train
        self.processes = processes
        self.device = processes.device
        self.model = model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.bf16 = use_bf16(config.precision, self.device)
        self.frozen_norms = norms_loaded
        if model.scheme is None:  # a quantised model keeps its scales
            set_offset_scales(self.model)
        freeze(self.model, config.frozen_blocks)
        if config.batch_size % processes.world:
            raise BadInput(
                f"a batch of {config.batch_size} photos cannot be shared by {processes.world} "
                "processes; make it a multiple of them"
            )
        if config.batch_size < 2 * (1 if self.frozen_norms else processes.world):
            raise BadInput(
                "norms take their statistics from batches of two photos or more (in each process, "
                "without --init); raise --batch-size"
            )
        self.sampler = EpochSampler(
            len(train),
            config.batch_size // processes.world,
            model.config.input_size,
            config.seed,
            processes.rank,
            processes.world,
        )
        self.steps_per_epoch = self.sampler.batches
        self.steps = self.steps_per_epoch * config.epochs
        self.warmup = max(1, round(config.warmup_epochs * self.steps_per_epoch))
        self.state = State()
        self.optimiser = make_optimiser(self.model, config)
        if run.checkpoint.is_file():
            self.average = WeightAverage(self.model, config.ema)
            self.state = load_checkpoint(run.checkpoint, self.model, self.average, self.optimiser)
        else:
            if self.frozen_norms:
                self._calibrate()
            self.average = WeightAverage(self.model, config.ema)
        self.parallel = processes.wrap(self.model)
        self.saved_at = time.monotonic()

    def train(self, watch: Watch) -> State:
        """Run the remaining epochs. Raises BadInput when the training diverges."""
        if self.model.scheme is not None and self.processes.first and self.state.step == 0:
            # A calibrated model is a result already, which the training must beat to be kept.
            watch.epoch({"epoch": 0, **self._measure(0)})
        while self.state.epoch < self.config.epochs:
            self._epoch(watch)
        return self.state

    def _epoch(self, watch: Watch) -> None:
        state, config = self.state, self.config
        size = config.input_size(state.epoch, self.model.config.input_size)
        defaults = DefaultBoxes.of(self.model.config, size, self.device)
        self._train_mode()
        for batch in self._batches(state.epoch, size, state.batch):
            started = time.perf_counter()
            figures = self._step(batch, defaults)
            figures["seconds"] = time.perf_counter() - started
            for name, value in figures.items():
                state.totals[name] = state.totals.get(name, 0.0) + value
            state.batch += 1
            state.step += 1
            watch.step(state, figures)
            if time.monotonic() - self.saved_at > config.save_seconds:
                self.save()
        row = self._finish_epoch(size)
        watch.epoch(row)

    def _batches(self, epoch: int, size: int, start: int) -> Iterable[Batch]:
        self.sampler.set_size(size)
        self.sampler.set_epoch(epoch, start)
        pin = self.device.type == "cuda"
        return loader(self.train_set, self.sampler, self.config.workers, pin_memory=pin)

    def _step(self, batch: Batch, defaults: DefaultBoxes) -> dict[str, float]:
        state, config = self.state, self.config
        rate = set_learning_rate(self.optimiser, config, state.step, self.steps, self.warmup)
        stages = self._losses(batch, defaults)
        # Every process divides by the positives of all and DistributedDataParallel averages the
        # gradients, hence the factor: the sum is what one process with the joint batch computes.
        counts = self.processes.sum(torch.stack([s.positives for s in stages.values()]))
        world = self.processes.world
        loss = torch.zeros((), device=self.device)
        figures = {}
        for (name, stage), positives in zip(stages.items(), counts.tolist(), strict=True):
            divisor = max(1.0, float(positives))
            loss = loss + (stage.classification + stage.regression) * (world / divisor)
            parts = torch.stack([stage.classification, stage.regression])
            classification, regression = (self.processes.sum(parts) / divisor).tolist()
            figures[f"{name}_classification"] = classification
            figures[f"{name}_regression"] = regression
            figures[f"{name}_positives"] = positives / config.batch_size
        total = sum(v for k, v in figures.items() if not k.endswith("positives"))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = gradient_norm(self.model.parameters(), config.gradient_clip)
        guard(state, total, norm, warming_up=state.step < self.warmup)
        self.optimiser.step()
        self.average.update(self.model, state.step)
        return {"loss": total, "gradient_norm": norm, "learning_rate": rate, **figures}

    def _losses(self, batch: Batch, defaults: DefaultBoxes) -> dict[str, StageLoss]:
        images = batch.images.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            prediction = self.parallel(images)
        return passd_loss(
            prediction,
            defaults,
            batch.boxes.to(self.device),
            batch.labels.to(self.device),
            batch.ignored.to(self.device),
            clipped=self.model.config.propose == "clipped",
        )

    def _finish_epoch(self, size: int) -> dict[str, Any]:
        state, config = self.state, self.config
        count = max(1, state.batch)
        seconds = state.totals.pop("seconds", 0.0)
        means = {k: v / count for k, v in state.totals.items()}
        row: dict[str, Any] = {"epoch": state.epoch + 1, "input_size": size, **means}
        row["images_per_second"] = count * config.batch_size / seconds if seconds else 0.0
        if self.processes.first and self._measures(state.epoch):
            row |= self._measure(state.epoch + 1)
        state.history.append(row)
        state.totals = {}
        state.epoch, state.batch = state.epoch + 1, 0
        if self.processes.first:
            write_history(self.run, state.history)
        self.save()
        self.processes.wait()
        return row

    def _measures(self, epoch: int) -> bool:
        every = self.config.eval_every
        return (epoch + 1) % every == 0 or epoch + 1 == self.config.epochs

    def _measure(self, epoch: int) -> dict[str, float]:
        """AP of the averaged weights on val; keeps them as the run's best if they are.

        epoch: how many are done.
        """
        model = self.averaged_model()
        figures = evaluate(Detector.from_engine(TorchEngine.of(model)), self.val)
        if figures["AP"] > self.state.best:
            self.state.best = figures["AP"]
            write_tensors(self.run.best, model.state_dict(), {"epoch": str(epoch)})
            figures = {"epoch": epoch, **figures}
            self.run.write_model(model.config, figures, model.scheme)
        return {k: figures[k] for k in ("AP", "AP50", "AP75")}

    def averaged_model(self) -> PASSD:
        """The running average as a model in evaluation mode, ready to be saved."""
        model = copy.deepcopy(self.model).eval()
        model.load_state_dict(self.average.weights)
        return with_absorbed_scales(model) if model.scheme is None else model

    def _train_mode(self) -> None:
        self.model.train()
        if self.frozen_norms:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    @torch.no_grad()
    def _calibrate(self) -> None:
        """Statistics for the norms above the backbone, which no file has them for."""
        self._train_mode()
        norms = [m for m in self.model.pyramid.extra.modules() if isinstance(m, nn.BatchNorm2d)]
        if not norms:  # folded away
            return
        for norm in norms:
            norm.train()
            norm.momentum = None  # a plain average over all batches
        # Whole batches in every process: the statistics do not depend on how many there are.
        size = self.config.input_size(0, self.model.config.input_size)
        photos = len(self.train_set)
        sampler = EpochSampler(photos, self.config.batch_size, size, self.config.seed)
        for batch in islice(loader(self.train_set, sampler), CALIBRATION_BATCHES):
            self.model(batch.images.to(self.device, memory_format=torch.channels_last))

    def save(self) -> None:
        """Write the checkpoint, in the first process."""
        if self.processes.first:
            path = self.run.checkpoint
            save_checkpoint(path, self.state, self.model, self.average, self.optimiser)
        self.saved_at = time.monotonic()


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to train under bf16 autocast; "auto": where the hardware multiplies bf16 itself."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())


def random_model(config: ModelConfig, seed: int) -> PASSD:
    """A freshly initialised model, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return PASSD(config)
