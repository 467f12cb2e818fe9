"""Pre-trained MobileNet-v1 backbones from safetensors files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from edge_passd.errors import BadInput
from quant.model.backbone import BLOCKS, MobileNet
from quant.model.layers import BATCH_NORM_EPSILON
from quant.tensors import read_tensors

# Names of a norm's tensors in each layout, in the order weight, bias, mean, variance.
_TF_SLIM = ("bn.gamma", "bn.beta", "bn.moving_mean", "bn.moving_variance")
_TORCH = ("weight", "bias", "running_mean", "running_var")

_IGNORED = re.compile(r"(^|\.)(Logits|classifier|fc|last_linear)\.|\.num_batches_tracked$")


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation of RGB pixel values 0-255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


TF_SLIM_INPUT = Normalisation((127.5,) * 3, (127.5,) * 3)
TORCHVISION_INPUT = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_TORCHVISION_EPSILON = 1e-5


def load_backbone(backbone: MobileNet, path: Path) -> Normalisation:
    """Load ImageNet weights into the backbone; returns the input normalisation they expect.

    Takes TF-slim key names (`Conv2d_0.weight`, `Conv2d_1_depthwise.bn.gamma`, ...) and
    torchvision-style ones (`features.0.0.weight`, then `features.N.{0,1,3,4}` or
    `features.N.{0,1}.{0,1}`; `model.` for `features.` too). A classifier is left out. Raises
    BadInput that names the first tensor which is missing, unknown or of another shape.
    """
    tensors, _ = read_tensors(path)
    tensors = {k: v for k, v in tensors.items() if not _IGNORED.search(k)}
    slim = any(name.startswith("Conv2d_") for name in tensors)
    names = _tf_slim_names() if slim else _torchvision_names(tensors)
    expected = backbone.state_dict()
    loaded: dict[str, Tensor] = {}
    for ours, theirs in names.items():
        if theirs not in tensors:
            raise BadInput(f"{path}: tensor {theirs!r} is missing; not MobileNet-v1 1.0 weights")
        tensor = tensors.pop(theirs)
        if tensor.shape != expected[ours].shape:
            raise BadInput(
                f"{path}: tensor {theirs!r} has shape {tuple(tensor.shape)}, MobileNet-v1 1.0 "
                f"needs {tuple(expected[ours].shape)}"
            )
        loaded[ours] = tensor.float()
    if tensors:
        raise BadInput(f"{path}: tensor {min(tensors)!r} has no place in MobileNet-v1 1.0")
    if not slim:
        # Only variance + epsilon is ever used: shift the variance by the difference.
        for name in loaded:
            if name.endswith("running_var"):
                loaded[name] = loaded[name] + (_TORCHVISION_EPSILON - BATCH_NORM_EPSILON)
    backbone.load_state_dict(loaded, strict=False)
    return TF_SLIM_INPUT if slim else TORCHVISION_INPUT


def _tf_slim_names() -> dict[str, str]:
    names = _layer("stem", "Conv2d_0.weight", "Conv2d_0.", _TF_SLIM)
    for i in range(len(BLOCKS)):
        for part in ("depthwise", "pointwise"):
            prefix = f"Conv2d_{i + 1}_{part}."
            names |= _layer(f"blocks.{i}.{part}", prefix + "weight", prefix, _TF_SLIM)
    return names


def _torchvision_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    root = "model" if any(name.startswith("model.") for name in tensors) else "features"
    nested = f"{root}.1.0.0.weight" in tensors
    names = _layer("stem", f"{root}.0.0.weight", f"{root}.0.1.", _TORCH)
    for i in range(len(BLOCKS)):
        block = f"{root}.{i + 1}"
        parts = (("0.0", "0.1"), ("1.0", "1.1")) if nested else (("0", "1"), ("3", "4"))
        for part, (conv, norm) in zip(("depthwise", "pointwise"), parts, strict=True):
            names |= _layer(
                f"blocks.{i}.{part}", f"{block}.{conv}.weight", f"{block}.{norm}.", _TORCH
            )
    return names


def _layer(ours: str, conv: str, norm_prefix: str, norm_names: tuple[str, ...]) -> dict[str, str]:
    names = {f"{ours}.conv.weight": conv}
    for our, their in zip(_TORCH, norm_names, strict=True):
        names[f"{ours}.norm.{our}"] = norm_prefix + their
    return names
