"""The whole state of a training in one safetensors file: atomic, so a kill leaves old or new."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge_passd.errors import BadInput
from quant.tensors import load_exactly, read_tensors, write_tensors
from quant.training.optimiser import WeightAverage

SCHEMA = 1


@dataclass
class State:
    """Where a training stands.

    epoch, batch: the next batch to train on; step: optimiser steps done. totals: sums over the
    batches of this epoch. history: one row for each finished epoch. best: highest validation AP
    so far. loss_average, lowest_average: see `divergence.Guard`.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float = -1.0
    loss_average: float | None = None
    lowest_average: float | None = None


def save_checkpoint(
    path: Path,
    state: State,
    model: nn.Module,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write everything that `load_checkpoint` needs to go on as if nothing had happened."""
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.weights.items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in values.items() if v is not None}
    header = {"schema": str(SCHEMA), "state": json.dumps(dataclasses.asdict(state))}
    write_tensors(path, tensors, header)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
) -> State:
    """Restore model, average and optimiser in place; returns the state. BadInput if broken."""
    tensors, header = read_tensors(path)
    if header.get("schema") != str(SCHEMA) or "state" not in header:
        raise BadInput(f"{path}: not a checkpoint of this version; train again without --resume")
    try:
        state = State(**json.loads(header["state"]))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{path}: its training state is broken ({error}); train again") from error
    load_exactly(model, _under("model.", tensors), path)
    weights = _under("average.", tensors)
    if weights.keys() != average.weights.keys():
        raise BadInput(f"{path}: the averaged weights are incomplete; train again")
    for name, tensor in average.weights.items():
        tensor.copy_(weights[name])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimiser.", tensors).items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(
        {"state": moments, "param_groups": optimiser.state_dict()["param_groups"]}
    )
    return state


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
