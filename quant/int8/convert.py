"""From a float model to a quantised one of the same structure."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edge_passd.errors import BadInput
from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import ImageGrid, QuantConv, QuantMerge
from quant.int8.scheme import Scheme
from quant.model import PASSD
from quant.model.backbone import Merge
from quant.model.layers import ConvNorm
from quant.model.passd import Normalise
from quant.training.scales import with_offset_scales

RELU6 = (0.0, 6.0)
IMAGE = "normalise"  # the module whose output is the image


def quantise(model: PASSD, scheme: Scheme) -> PASSD:
    """A copy in evaluation mode whose layers compute on int8 grids; `calibrate` sets the ranges.

    The offsets leave their convolutions in the units of the loss, not of the spec (see
    `quant.training.scales`): so they fill the range of a tensor that they share with class logits.
    Raises BadInput for a model that is quantised already, a head without separate layers, or a
    name in `keep_float` that is no layer's.
    """
    if model.scheme is not None:
        raise BadInput("the model is quantised already; start from the float run")
    if model.config.attend == "fixed":
        raise BadInput(
            "a plain head (a dilated convolution) cannot be quantised; train propose-attend"
        )
    model = with_offset_scales(model).eval()
    model.scheme = scheme
    names = layer_names(model)
    for name in scheme.keep_float:
        if not any(Scheme(keep_float=(name,)).keeps_float(layer) for layer in names):
            raise BadInput(f"keep float: no layer {name!r}; there are {', '.join(names)}")
    integer = {name for name in names if not scheme.keeps_float(name)}
    takers = consumers(model)
    for name in names:
        layer = model.get_submodule(name)
        on_grid = bool(({name} | takers[name]) & integer)
        if isinstance(layer, Merge):
            if on_grid:
                model.set_submodule(name, QuantMerge(layer, ActivationGrid()))
        else:
            weights = WeightGrid(scheme.weights) if name in integer else nn.Identity()
            model.set_submodule(name, _quantised_conv(layer, weights, on_grid))
    if takers[IMAGE] & integer:
        _put_image_on_grid(model)
    return model.to(model.device)  # the new grids, too


def layer_names(model: PASSD) -> list[str]:
    """Names of the layers that can be quantised, in the order in which they are declared."""
    inside = {f"{name}.conv" for name, m in model.named_modules() if isinstance(m, ConvNorm)}
    kinds = (ConvNorm, nn.Conv2d, Merge)
    return [n for n, m in model.named_modules() if isinstance(m, kinds) and n not in inside]


@torch.no_grad()
def consumers(model: PASSD) -> dict[str, set[str]]:
    """For the image and each layer of a float model: which layers take its output.

    Found by watching one picture go through.
    """
    names = [IMAGE, *layer_names(model)]
    takers: dict[str, set[str]] = {name: set() for name in names}
    makers: dict[int, str] = {}
    alive: list[Tensor] = []  # an id is reused when its tensor is gone

    def taken(name: str, inputs: Iterable[Tensor]) -> None:
        for tensor in inputs:
            if id(tensor) in makers:
                takers[makers[id(tensor)]].add(name)

    def made(name: str, output: Tensor) -> None:
        makers[id(output)] = name
        alive.append(output)

    handles = []
    for name in names:
        module = model.get_submodule(name)
        handles += [
            module.register_forward_pre_hook(lambda _, x, name=name: taken(name, x)),
            module.register_forward_hook(lambda _, x, y, name=name: made(name, y)),
        ]
    size = model.config.input_size
    model(torch.zeros(1, 3, size, size, device=model.device))
    for handle in handles:
        handle.remove()
    return takers


def _quantised_conv(layer: nn.Module, grid: nn.Module, on_grid: bool) -> QuantConv:
    out: nn.Module
    if isinstance(layer, ConvNorm):
        weight, bias = layer.folded()
        out = ActivationGrid(RELU6) if on_grid else nn.ReLU6()
        return QuantConv(layer.conv, weight, bias, grid, out)
    assert isinstance(layer, nn.Conv2d)
    out = ActivationGrid() if on_grid else nn.Identity()
    return QuantConv(layer, layer.weight, layer.bias, grid, out)


@torch.no_grad()
def _put_image_on_grid(model: PASSD) -> None:
    """One scale and zero point for the image; the difference goes into the stem.

    (p - mean) / std = (p - z) s * 1 / (std s) - (mean - z) / std. Beyond the border, where the
    stem sees zeros, lies z now and not each channel's mean.
    """
    normalise, stem = model.normalise, model.get_submodule("backbone.stem")
    assert isinstance(normalise, Normalise)
    assert isinstance(stem, QuantConv)
    assert stem.bias is not None
    image = ImageGrid(normalise)
    shift = (normalise.mean - image.zero_point) / normalise.std
    stem.bias.sub_((stem.weight * shift).sum((1, 2, 3)))
    stem.weight.div_(normalise.std * image.scale)
    model.set_submodule(IMAGE, image)
