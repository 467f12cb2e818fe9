"""Output scales of the offset convolutions: there while training, gone in a saved float model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from quant.model.passd import PASSD
from quant.training.loss import CENTRE_UNIT, SIZE_UNIT


def set_offset_scales(model: PASSD) -> None:
    """Scale the raw offsets so that a raw output of 1 is one unit of the loss.

    A clipped centre needs none: tanh at most moves it by an eighth of the default box already.
    """
    centre = 1.0 if model.config.propose == "clipped" else CENTRE_UNIT
    device = model.device
    model.propose_scale = torch.tensor([centre, centre, SIZE_UNIT, SIZE_UNIT], device=device)
    model.attend_scale = torch.tensor(
        [CENTRE_UNIT, CENTRE_UNIT, SIZE_UNIT, SIZE_UNIT], device=device
    )


def with_absorbed_scales(model: PASSD) -> PASSD:
    """A copy that computes the same with its scales moved into the weights (spec: variances 1)."""
    model = copy.deepcopy(model)
    _scale_weights(model, model.propose_scale, model.attend_scale)
    model.propose_scale = torch.ones_like(model.propose_scale)
    model.attend_scale = torch.ones_like(model.attend_scale)
    return model


def with_offset_scales(model: PASSD) -> PASSD:
    """The inverse: a copy that computes the same with the scales taken out of the weights."""
    model = with_absorbed_scales(model)
    set_offset_scales(model)
    _scale_weights(model, 1 / model.propose_scale, 1 / model.attend_scale)
    return model


@torch.no_grad()
def _scale_weights(model: PASSD, propose: Tensor, attend: Tensor) -> None:
    anchors = len(model.config.scales)
    if model.propose is not None:
        scale = propose.repeat(anchors)
        model.propose.offsets.weight.mul_(scale[:, None, None, None])
        assert model.propose.offsets.bias is not None
        model.propose.offsets.bias.mul_(scale)
    head = model.attend
    weight = head.projection.weight.view(anchors, -1, head.outputs, head.projection.in_channels)
    weight[:, :, -4:].mul_(attend[:, None])
    head.bias[:, -4:].mul_(attend)
