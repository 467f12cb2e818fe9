"""A trained model as deployment sees it: convolutions with bias, no norms."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TypeVar

import torch
from torch import nn

from quant.model.layers import ConvNorm

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def fold_norms(model: M) -> M:
    """A copy in evaluation mode with every `ConvNorm` replaced by convolution, bias and ReLU6."""
    model = copy.deepcopy(model).eval()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ConvNorm):
                setattr(parent, name, _folded(child))
    return model


def _folded(layer: ConvNorm) -> nn.Sequential:
    weight, bias = layer.folded()
    conv = copy.deepcopy(layer.conv)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias, requires_grad=False)
    return nn.Sequential(OrderedDict(conv=conv, activation=nn.ReLU6()))
