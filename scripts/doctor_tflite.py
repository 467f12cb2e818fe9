"""The doctor's cases as PyTorch modules, for the ones that TFLite has operators for.

With the names of inputs, outputs and constants of `make_doctor_cases.graphs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed
import torch.nn.functional as F
from torch import Tensor, nn

from quant.export.tflite_sampler import lookup_sample

_ops = torch.ops.quantized_decomposed
_S8 = (-128, 127, torch.int8)
# An addition at the model's ends keeps them float, which the converter would make int8 as well.
_NOTHING = torch.finfo(torch.float32).tiny

Constants = Mapping[str, Tensor]


class _Module(nn.Module):
    def __init__(self, forward: Callable[..., Tensor | dict[str, Tensor]]) -> None:
        super().__init__()
        self._forward = forward

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        found = self._forward(**inputs)
        return found if isinstance(found, dict) else {"y": found}


def modules(constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, nn.Module]:
    """By the name of the case. constants: of each case."""
    tensors: dict[str, Constants] = {
        name: {key: torch.from_numpy(np.asarray(value)) for key, value in each.items()}
        for name, each in constants.items()
    }
    conv, depthwise = tensors["conv"], tensors["depthwise_conv"]
    forwards: dict[str, Callable[..., Tensor | dict[str, Tensor]]] = {
        "conv": lambda x: F.conv2d(x, conv["w"], conv["b"], padding=2, dilation=2),
        "depthwise_conv": lambda x: F.conv2d(
            F.pad(x, (0, 1, 0, 1)), depthwise["w"], stride=2, groups=4
        ),
        "offset_sample": lambda projected, boxes: lookup_sample(projected, boxes),
        "resize_nearest": lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
        "resize_linear": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
        "gather": lambda x, i: x[i],
        "gather_elements": lambda x, i: torch.gather(x, 0, i),
        "gather_nd": lambda x, i: x[i[:, 0], i[:, 1]],
        "topk": lambda x: dict(zip(("y", "i"), torch.topk(x, 200), strict=True)),
        "softmax": lambda x: torch.softmax(x, -1),
        "hard_swish": lambda x: F.hardswish(x),
        "relu6": lambda x: F.relu6(x),
        "sigmoid": lambda x: torch.sigmoid(x),
        "split_concat": lambda x: torch.cat([x[:, 2:], x[:, :2]], 1),
    }
    made: dict[str, nn.Module] = {name: _Module(forward) for name, forward in forwards.items()}
    return made | {name: _ConvQdq(tensors[name]) for name in ("conv_qdq", "conv_qdq_full")}


class _ConvQdq(nn.Module):
    """TFLite's activations are int8: the same grid as u8, with everything lower by 128."""

    def __init__(self, constants: Mapping[str, Tensor]) -> None:
        super().__init__()
        c = constants
        self.x_grid = (float(c["x_scale"]), int(c["x_zero"]) - 128, *_S8)
        self.y_grid = (float(c["y_scale"]), int(c["y_zero"]) - 128, *_S8)
        # The converter quantises float weights itself, by a grid among the buffers.
        self.register_buffer("weight", c["w"] * c["w_scale"].reshape(-1, 1, 1, 1))
        self.register_buffer("scale", c["w_scale"])
        self.register_buffer("zero", torch.zeros(len(c["w_scale"]), dtype=torch.int64))
        self.register_buffer("bias", c["b"] * c["b_scale"])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self._on_grid(x + _NOTHING, self.x_grid)
        grid = self.scale, self.zero, 0, *_S8
        w = _ops.dequantize_per_channel(_ops.quantize_per_channel(self.weight, *grid), *grid)
        return {"y": self._on_grid(F.conv2d(x, w, self.bias, padding=1), self.y_grid) + _NOTHING}

    def _on_grid(self, x: Tensor, grid: tuple[Any, ...]) -> Tensor:
        return _ops.dequantize_per_tensor(_ops.quantize_per_tensor(x, *grid), *grid)
