"""A training that goes wrong stops with one clear line and keeps its last good checkpoint."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from edge_passd.errors import BadInput
from quant.tensors import read_tensors
from quant.training.checkpoint import State
from quant.training.distributed import Processes
from quant.training.divergence import LIMIT, guard
from tests.training import tiny


def follow(state: State, losses: list[float], warming_up: bool = False) -> None:
    for loss in losses:
        guard(state, loss, 1.0, warming_up)
        state.step += 1


def after(losses: list[float], warming_up: bool = False) -> State:
    state = State()
    follow(state, losses, warming_up)
    return state


@pytest.mark.parametrize(
    ("loss", "norm"),
    [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf), (-math.inf, 1.0)],
)
@pytest.mark.parametrize("warming_up", [False, True])
def test_what_is_not_finite_stops_at_once(loss: float, norm: float, warming_up: bool) -> None:
    state = after([5.0] * 3)
    before = dataclasses.replace(state)
    with pytest.raises(BadInput, match=r"diverged at step 3: .*checkpoint is kept.*--lr") as caught:
        guard(state, loss, norm, warming_up)
    assert "\n" not in str(caught.value)
    assert state == before


def test_a_loss_that_stays_several_times_its_lowest_stops() -> None:
    state = after([2.0] * 50)
    with pytest.raises(BadInput, match=r"the loss rose from 2 to .*checkpoint is kept") as caught:
        follow(state, [20.0] * 1000)
    assert "\n" not in str(caught.value)
    # The average has the loss of some fifty steps in it: a few bad batches do not move it so far.
    assert 10 < state.step - 50 < 50
    assert state.loss_average == pytest.approx(LIMIT * 2.0, rel=0.1)


@pytest.mark.parametrize(
    "losses",
    [
        [10 / (1 + step / 50) for step in range(400)],  # falling
        [3.0] * 100 + [60.0] + [3.0] * 100,  # one bad batch
        [2.0] * 100 + [6.0] * 300,  # larger pictures: thrice the loss
    ],
    ids=["falling", "spike", "step"],
)
def test_a_healthy_loss_goes_on(losses: list[float]) -> None:
    assert after(losses).step == len(losses)


def test_the_warm_up_sets_no_mark() -> None:
    state = after([0.1] * 50, warming_up=True)
    assert state.lowest_average is None
    # Had the warm-up counted, this would be a hundred times the lowest.
    follow(state, [10.0] * 50, warming_up=True)
    follow(state, [10.0])
    assert state.lowest_average == state.loss_average


def test_poisoned_weights_stop_before_anything_is_overwritten(
    photo_set: Path, alone: Processes, tmp_path: Path
) -> None:
    one_epoch = tiny.make_config(photo_set, epochs=1)
    tiny.make_trainer(tmp_path, one_epoch, alone).train(tiny.SILENT)
    names = ("checkpoint.safetensors", "best.safetensors", "model.json", "metrics.csv")
    before = {name: (tmp_path / name).read_bytes() for name in names}

    config = tiny.make_config(photo_set, epochs=2, save_seconds=0.0)
    trainer = tiny.make_trainer(tmp_path, config, alone)
    assert (trainer.state.epoch, trainer.state.step) == (1, 2)
    with torch.no_grad():
        trainer.model.pyramid.laterals[0].weight[3, 5] = math.nan
    with pytest.raises(BadInput, match="diverged at step 2: loss nan"):
        trainer.train(tiny.SILENT)
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    # It stopped before the step: what was not poisoned is still good.
    assert torch.isfinite(trainer.model.attend.bias).all()
    assert torch.isfinite(trainer.average.weights["pyramid.laterals.0.weight"]).all()

    resumed = tiny.make_trainer(tmp_path, config, alone)
    assert resumed.train(tiny.SILENT).epoch == 2


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_wild_learning_rate_stops_and_leaves_a_checkpoint(
    optimiser: str, photo_set: Path, alone: Processes, tmp_path: Path
) -> None:
    config = tiny.make_config(
        photo_set, epochs=30, learning_rate=1e6, optimiser=optimiser, save_seconds=0.0
    )
    trainer = tiny.make_trainer(tmp_path, config, alone)
    with pytest.raises(BadInput, match=r"diverged at step \d+: .*lower --lr"):
        trainer.train(tiny.SILENT)
    tensors, _ = read_tensors(trainer.run.checkpoint)
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    again = tiny.make_trainer(tmp_path, config, alone)
    assert again.state.step == trainer.state.step > 0
