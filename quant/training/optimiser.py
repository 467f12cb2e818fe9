"""Parameter groups, learning-rate schedule and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from quant.model.passd import PASSD
from quant.training.config import TrainConfig

WARMUP_START = 1e-6
STEPS = (0.6, 0.8)  # of the run: the paper's 150 and 200 of 250 epochs


def freeze(model: PASSD, blocks: int) -> None:
    """Freeze the stem and the first `blocks` backbone blocks; -1 freezes nothing."""
    if blocks >= 0:
        model.backbone.stem.requires_grad_(False)
        for block in list(model.backbone.blocks)[:blocks]:
            block.requires_grad_(False)


def make_optimiser(model: PASSD, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum; norms and biases without weight decay.

    Each group keeps its full rate in "base_rate" for `set_learning_rate`.
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("backbone."), parameter.ndim > 2)
            groups.setdefault(key, []).append(parameter)
    options = [
        {
            "params": parameters,
            "base_rate": config.learning_rate * (config.backbone_rate if backbone else 1.0),
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (backbone, decays), parameters in groups.items()
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(options, lr=config.learning_rate, momentum=0.9)
    return torch.optim.AdamW(options, lr=config.learning_rate)


def set_learning_rate(
    optimiser: torch.optim.Optimizer, config: TrainConfig, step: int, steps: int, warmup: int
) -> float:
    """Set every group's rate for `step` of `steps`; returns the new layers' rate."""
    schedule = config.schedule
    for group in optimiser.param_groups:
        group["lr"] = rate_at(group["base_rate"], schedule, step, steps, warmup)
    return rate_at(config.learning_rate, schedule, step, steps, warmup)


def rate_at(base: float, schedule: str, step: int, steps: int, warmup: int) -> float:
    """Rate at `step`: linear warm-up from 1e-6 to `base`, then cosine or two drops by ten."""
    if step < warmup:
        return WARMUP_START + (base - WARMUP_START) * step / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return base * 0.5 * (1 + math.cos(math.pi * done))
    return base * 0.1 ** sum(done >= at for at in STEPS)


class WeightAverage:
    """Exponential moving average of a model's parameters; decay warms up over the first steps."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's weights after optimiser step number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        state = model.state_dict()
        names = [k for k, v in self.weights.items() if v.is_floating_point()]
        torch._foreach_lerp_(
            [self.weights[k] for k in names], [state[k].detach() for k in names], 1 - decay
        )


def gradient_norm(parameters: Iterable[Tensor], clip: float) -> float:
    """Clip the gradient to `clip` and return its norm before that."""
    return float(torch.nn.utils.clip_grad_norm_(list(parameters), clip))
