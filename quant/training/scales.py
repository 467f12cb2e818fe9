"""Output scales of the offset convolutions: there while training, gone in every saved model."""

from __future__ import annotations

import copy

import torch

from quant.model.passd import PASSD
from quant.training.loss import CENTRE_UNIT, SIZE_UNIT


def set_offset_scales(model: PASSD) -> None:
    """Scale the raw offsets so that a raw output of 1 is one unit of the loss.

    A clipped centre needs none: tanh at most moves it by an eighth of the default box already.
    """
    centre = 1.0 if model.config.propose == "clipped" else CENTRE_UNIT
    device = model.mean.device
    model.propose_scale = torch.tensor([centre, centre, SIZE_UNIT, SIZE_UNIT], device=device)
    model.attend_scale = torch.tensor(
        [CENTRE_UNIT, CENTRE_UNIT, SIZE_UNIT, SIZE_UNIT], device=device
    )


@torch.no_grad()
def with_absorbed_scales(model: PASSD) -> PASSD:
    """A copy that computes the same with its scales moved into the weights (spec: variances 1)."""
    model = copy.deepcopy(model)
    anchors = len(model.config.scales)
    if model.propose is not None:
        scale = model.propose_scale.repeat(anchors)
        model.propose.offsets.weight.mul_(scale[:, None, None, None])
        assert model.propose.offsets.bias is not None
        model.propose.offsets.bias.mul_(scale)
    head = model.attend
    weight = head.projection.weight.view(anchors, -1, head.outputs, head.projection.in_channels)
    weight[:, :, -4:].mul_(model.attend_scale[:, None])
    head.bias[:, -4:].mul_(model.attend_scale)
    model.propose_scale = torch.ones_like(model.propose_scale)
    model.attend_scale = torch.ones_like(model.attend_scale)
    return model
