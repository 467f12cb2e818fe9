"""The offset convolution alone on a GPU, in the forms that PyTorch has for it."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.gpu_clock import Timer, captured, device_seconds, kernel_seconds
from bench.gpu_peers import DTYPES, compiled
from bench.offset_case import ANCHORS, CHANNELS, OffsetCase, expected
from edge_passd.offset_sample import TAPS
from quant.model.heads import cell_indices
from quant.model.offset_conv import offset_sample, tap_points

DEFORM = "torchvision deform_conv2d"
DEFORM_KERNELS = f"{DEFORM}, its kernels alone"
PROJECTED_GRAPH = "torch.compile, project then sample, CUDA graph"
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2}  # relative, of all outputs together
TIMES = 10  # in one graph: alone it is too short to be timed


def timers(case: OffsetCase, precision: str, device: str) -> dict[str, Timer]:
    """By name, of all levels; without torchvision, without its own.

    Raises ArithmeticError for a form that does not compute what it should.
    """
    found: dict[str, Timer] = {}
    if find_spec("torchvision"):
        deform = DeformConv(case, precision, device)
        _check(DEFORM, deform(), case, precision)
        found[DEFORM] = partial(device_seconds, device, deform)
        # It launches on the default stream, whatever the current one is (pytorch/vision issue
        # 9513), which no capture follows. So its kernels alone stand for a graph without gaps.
        found[DEFORM_KERNELS] = partial(kernel_seconds, device, deform)
    projected = Projected(case, precision, device)
    project = compiled(projected, "max-autotune-no-cudagraphs", device)
    _check(PROJECTED_GRAPH, project(), case, precision)
    graph = captured(device, project, TIMES)
    found[PROJECTED_GRAPH] = lambda runs: device_seconds(device, graph, runs) / TIMES
    return found


def _check(name: str, levels: list[Tensor], case: OffsetCase, precision: str) -> None:
    """levels: (1, A, D, H, W) each."""
    found = np.concatenate([each.float().cpu().numpy().ravel() for each in levels])
    wanted = np.concatenate([each.ravel() for each in expected(case)])
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    if not error < TOLERANCE[precision]:
        raise ArithmeticError(f"{name} in {precision} is {error:.2g} off, relative")


class DeformConv(nn.Module):
    """deform_conv2d, for each level and anchor, which has filters and sampling points of its own.

    It gets the points ready-made, as offsets from those of a plain convolution: a pair y, x for
    each tap, taps row by row. Ours computes them from the boxes' offsets.
    """

    def __init__(self, case: OffsetCase, precision: str, device: str) -> None:
        from torchvision.ops import deform_conv2d

        super().__init__()
        self.operator = deform_conv2d
        dtype = DTYPES[precision]
        weight = torch.from_numpy(case.weight).reshape(ANCHORS, TAPS, case.outputs, CHANNELS)
        filters = weight.permute(0, 2, 3, 1).reshape(ANCHORS, case.outputs, CHANNELS, 3, 3)
        self.filters = filters.to(device, dtype).contiguous()
        self.bias = torch.from_numpy(case.bias).to(device, dtype)
        self.features = [torch.from_numpy(each).to(device, dtype) for each in case.features]
        self.offsets = [_offsets(torch.from_numpy(each)).to(device, dtype) for each in case.boxes]

    def forward(self) -> list[Tensor]:
        return [
            torch.stack(
                [
                    self.operator(
                        features, offsets[:, i], self.filters[i], self.bias[i], padding=(1, 1)
                    )
                    for i in range(ANCHORS)
                ],
                1,
            )
            for features, offsets in zip(self.features, self.offsets, strict=True)
        ]


def _offsets(boxes: Tensor) -> Tensor:
    """(1, A, 4, H, W) cy cx h w in cells to (1, A, 18, H, W)."""
    cells = cell_indices(boxes.shape[3], boxes.shape[4], boxes)
    regular = tap_points(torch.cat([cells, torch.full_like(cells, 3)])[None, None])
    return (tap_points(boxes) - regular).flatten(2, 3)


class Projected(nn.Module):
    """As the model has it: a 1x1 convolution, then samples of what each tap contributes."""

    def __init__(self, case: OffsetCase, precision: str, device: str) -> None:
        super().__init__()
        dtype, layout = DTYPES[precision], torch.channels_last
        weight = torch.from_numpy(case.weight)[:, :, None, None]
        self.weight = weight.to(device, dtype, memory_format=layout)
        self.bias = torch.from_numpy(case.bias).to(device)[:, :, None, None]
        self.features = [
            torch.from_numpy(each).to(device, dtype, memory_format=layout) for each in case.features
        ]
        self.boxes = [torch.from_numpy(each).to(device) for each in case.boxes]

    def forward(self) -> list[Tensor]:
        return [
            offset_sample(F.conv2d(features, self.weight).float(), boxes) + self.bias
            for features, boxes in zip(self.features, self.boxes, strict=True)
        ]
