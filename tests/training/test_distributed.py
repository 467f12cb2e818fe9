"""More processes compute what one computes with the whole batch."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from edge_passd.errors import BadInput
from quant.tensors import read_tensors, write_tensors
from quant.training.checkpoint import State
from quant.training.config import TrainConfig
from quant.training.distributed import Processes, join
from quant.training.trainer import Watch
from tests.training import tiny


class Stopped(Exception):
    """Ends a training after its first step."""


def first_step(run: Path, config: TrainConfig, processes: Processes) -> dict[str, Tensor]:
    """Gradients of the first step, the norms' statistics, and the step's figures."""
    # Frozen norms: training ones take the statistics of each process's own part of the batch.
    trainer = tiny.make_trainer(run, config, processes, norms_loaded=True)
    found: dict[str, Tensor] = {}

    def stop(_state: State, figures: dict[str, float]) -> None:
        for name, parameter in trainer.model.named_parameters():
            assert parameter.grad is not None
            found[f"gradient.{name}"] = parameter.grad.clone()
        for name, statistics in trainer.model.named_buffers():
            found[f"statistics.{name}"] = statistics.double()
        for name in figures.keys() - {"seconds"}:
            found[name] = torch.tensor(figures[name], dtype=torch.float64)
        raise Stopped

    with pytest.raises(Stopped):
        trainer.train(Watch(stop, lambda _row: None))
    return found


def one_of_two(rank: int, port: int, run: Path, config: TrainConfig) -> None:
    """What `torchrun` sets, then the first step; the result goes beside the run."""
    os.environ.update(
        WORLD_SIZE="2",
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        MASTER_ADDR="localhost",
        MASTER_PORT=str(port),
    )
    processes = join()
    assert (processes.rank, processes.world, processes.first) == (rank, 2, rank == 0)
    write_tensors(run / f"rank{rank}.safetensors", first_step(run, config, processes), {})
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return int(listener.getsockname()[1])


def test_two_processes_give_the_gradients_of_one(
    photo_set: Path, alone: Processes, forks: ForkServerContext, tmp_path: Path
) -> None:
    config = tiny.make_config(photo_set, gradient_clip=1e9)
    expected = first_step(tmp_path, config, alone)

    port = free_port()
    ranks = [
        forks.Process(target=one_of_two, args=(rank, port, tmp_path, config)) for rank in (0, 1)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
        assert process.exitcode == 0

    first, _ = read_tensors(tmp_path / "rank0.safetensors")
    second, _ = read_tensors(tmp_path / "rank1.safetensors")
    assert first.keys() == second.keys() == expected.keys()
    gradients = [name for name in expected if name.startswith("gradient.")]
    whole = torch.cat([expected[name].flatten() for name in gradients])
    joint = torch.cat([first[name].flatten() for name in gradients])
    # Sums of single precision in another order, over half the batch: a wrong divisor or a missing
    # average would be off by tens of percent.
    assert (joint - whole).norm() <= 1e-5 * whole.norm()
    for name, value in expected.items():
        assert torch.equal(first[name], second[name]), name
        # No layer may be wrong behind a larger one.
        assert (first[name] - value).norm() <= 1e-4 * value.norm() + 1e-8 * whole.norm(), name
    assert whole.norm() > 1
    assert expected["attend_positives"] > 0


def test_a_batch_that_cannot_be_shared_is_refused(photo_set: Path, tmp_path: Path) -> None:
    three = Processes(0, 3, torch.device("cpu"))
    with pytest.raises(BadInput, match="batch of 4 photos cannot be shared by 3 processes"):
        tiny.make_trainer(tmp_path, tiny.make_config(photo_set), three)


def test_one_process_needs_no_others(alone: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    processes = join()
    assert replace(processes, device=alone.device) == alone
    alone.wait()
    model = torch.nn.Linear(2, 1)
    assert alone.wrap(model) is model
    total = alone.sum(model.weight)
    assert not total.requires_grad
    assert torch.equal(total, model.weight)
