"""Learning rates, parameter groups, frozen blocks and the averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from quant.model import PASSD, ModelConfig
from quant.training.config import TrainConfig
from quant.training.optimiser import (
    WeightAverage,
    freeze,
    gradient_norm,
    make_optimiser,
    set_learning_rate,
)
from tests.training import tiny

STEPS, WARMUP, BASE = 1000, 100, 4e-3


@pytest.fixture(scope="module")
def model() -> PASSD:
    return PASSD(ModelConfig(("cat",), 64))


def config(**changes: Any) -> TrainConfig:
    return tiny.make_config(Path("data"), learning_rate=BASE, backbone_rate=0.25, **changes)


def rates(model: PASSD, recipe: TrainConfig) -> list[float]:
    """The new layers' rate at every step, and just after the last."""
    optimiser = make_optimiser(model, recipe)
    return [set_learning_rate(optimiser, recipe, s, STEPS, WARMUP) for s in range(STEPS + 1)]


@pytest.mark.parametrize("schedule", ["cosine", "steps"])
def test_the_warm_up_leads_from_a_millionth_to_the_base_rate(schedule: str, model: PASSD) -> None:
    found = rates(model, config(schedule=schedule))
    assert found[0] == 1e-6
    assert found[WARMUP // 2] == pytest.approx((1e-6 + BASE) / 2)
    assert found[WARMUP] == BASE
    steps = torch.tensor(found[: WARMUP + 1]).diff()
    torch.testing.assert_close(steps, torch.full_like(steps, (BASE - 1e-6) / WARMUP))


def test_the_cosine_falls_to_nothing(model: PASSD) -> None:
    found = rates(model, config(schedule="cosine"))
    assert found[(WARMUP + STEPS) // 2] == pytest.approx(BASE / 2)
    assert found[STEPS] == pytest.approx(0, abs=1e-12)
    assert all(a > b for a, b in zip(found[WARMUP:], found[WARMUP + 1 :], strict=False))


def test_the_steps_are_two_drops_by_ten(model: PASSD) -> None:
    found = rates(model, config(schedule="steps"))
    first, second = WARMUP + 540, WARMUP + 720  # 60% and 80% of what follows the warm-up
    assert found[first - 1] == BASE
    assert found[first] == pytest.approx(BASE / 10)
    assert found[second - 1] == pytest.approx(BASE / 10)
    assert found[second] == found[STEPS] == pytest.approx(BASE / 100)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_groups_have_their_rate_and_decay(kind: str, model: PASSD) -> None:
    recipe = config(optimiser=kind, weight_decay=0.02)
    optimiser = make_optimiser(model, recipe)
    set_learning_rate(optimiser, recipe, WARMUP, STEPS, WARMUP)
    of_parameter = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    assert len(of_parameter) == sum(len(group["params"]) for group in optimiser.param_groups)
    for name, parameter in model.named_parameters():
        group = of_parameter[id(parameter)]
        assert group["lr"] == pytest.approx(BASE * (0.25 if "backbone" in name else 1)), name
        is_filter = name.endswith("weight") and "norm" not in name
        assert group["weight_decay"] == (0.02 if is_filter else 0), name
        if kind == "sgd":
            assert group["momentum"] == 0.9


@pytest.mark.parametrize("blocks", [-1, 0, 3, 13])
def test_frozen_blocks_are_left_to_no_optimiser(blocks: int) -> None:
    model = PASSD(ModelConfig(("cat",), 64))
    freeze(model, blocks)
    prefixes = ["backbone.stem.", *(f"backbone.blocks.{i}." for i in range(blocks))]
    frozen = tuple(prefixes) if blocks >= 0 else ()
    optimised = {id(p) for g in make_optimiser(model, config()).param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name
        assert (id(parameter) in optimised) == parameter.requires_grad, name


def test_the_average_follows_the_weights() -> None:
    linear = torch.nn.Linear(2, 1)
    source = torch.nn.Sequential(linear, torch.nn.BatchNorm1d(1)).double()
    average = WeightAverage(source, decay=0.9)
    expected = {k: v.clone() for k, v in source.state_dict().items()}
    for step in range(200):
        with torch.no_grad():
            linear.weight.add_(1.0)
        source(torch.randn(4, 2).double())  # moves the norm's statistics as well
        average.update(source, step)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in source.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
    for name in ("0.weight", "0.bias", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(average.weights[name], expected[name])
    lag = linear.weight - average.weights["0.weight"]
    torch.testing.assert_close(lag, torch.full_like(lag, 9.0), rtol=1e-5, atol=0)  # d / (1 - d)


def test_without_decay_the_average_is_the_weights() -> None:
    source = torch.nn.Linear(2, 1)
    average = WeightAverage(source, decay=0.0)
    with torch.no_grad():
        source.weight.add_(1.0)
    average.update(source, 50)
    torch.testing.assert_close(average.weights["weight"], source.weight.detach(), rtol=0, atol=0)


def test_a_large_gradient_is_clipped_and_its_norm_told() -> None:
    parameters = [torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)]
    parameters[0].grad, parameters[1].grad = torch.tensor([6.0, 0.0]), torch.tensor([8.0])
    assert gradient_norm(parameters, 5.0) == pytest.approx(10)
    torch.testing.assert_close(parameters[0].grad, torch.tensor([3.0, 0.0]))
    assert gradient_norm(parameters, 50.0) == pytest.approx(5)
    torch.testing.assert_close(parameters[1].grad, torch.tensor([4.0]))
