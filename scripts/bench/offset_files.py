"""The offset convolution of an `OffsetCase` as .onnx files, one for each way to write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from bench.grid_sample import in_grid_sample_form
from bench.offset_case import ANCHORS, CHANNELS, OffsetCase
from edge_passd.files import replacing
from edge_passd.offset_sample import TAPS
from edge_passd.quiet import quiet_stderr
from quant.export.operator import as_operator, function
from quant.model import ModelConfig
from quant.model.heads import AttendHead, cell_indices
from quant.model.offset_conv import tap_points

OPSET = 19  # the first that has DeformConv
KINDS = ("OffsetSample", "GridSample", "DeformConv")


def offset_file(case: OffsetCase, kind: str, folder: Path) -> Path:
    """The .onnx of `case` in one of the `KINDS`, made in `folder` unless it is there.

    Inputs: as `OffsetCase.inputs`. Outputs, in the order of the levels: (1, A, D, H, W).
    OffsetSample is what edge-passd exports: a 1x1 convolution and the sampling operator with its
    gather form as a function. GridSample is the same with ONNX's own sampling. DeformConv samples
    all 256 channels for each of the three boxes of a cell and multiplies by 3x3 filters.
    """
    size = case.features[0].shape[-1]
    path = folder / f"offset-{case.outputs}-{size}-{kind}.onnx"
    if not path.is_file():
        if kind == "GridSample":
            graph = in_grid_sample_form(onnx.load(offset_file(case, "OffsetSample", folder)))
        else:
            graph = _exported(case, direct=kind == "DeformConv")
        with replacing(path) as temporary:
            onnx.save(graph, temporary)
    return path


def _exported(case: OffsetCase, direct: bool) -> onnx.ModelProto:
    classes = tuple(map(str, range(case.outputs - 5)))
    head = AttendHead(ModelConfig(classes)).eval().requires_grad_(False)
    head.projection.weight.copy_(torch.from_numpy(case.weight)[:, :, None, None])
    head.bias.copy_(torch.from_numpy(case.bias))
    head.sampler = as_operator
    level = _DeformConv(head) if direct else head
    tensors = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    with quiet_stderr():  # the exporter warns of libraries that nobody asked it to support
        program = torch.onnx.export(
            _AllLevels(level),
            tuple(tensors.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(tensors),
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    del graph.functions[:]
    if not direct:
        graph.functions.append(function())
    return graph


class _AllLevels(nn.Module):
    def __init__(self, level: nn.Module) -> None:
        super().__init__()
        self.level = level

    def forward(self, *inputs: Tensor) -> Sequence[Tensor]:
        """features0, boxes0, features1, ... to one output for each level."""
        return [self.level(*pair) for pair in zip(inputs[::2], inputs[1::2], strict=True)]


class _DeformConv(nn.Module):
    """An `AttendHead` in the direct form: sample, then multiply."""

    def __init__(self, head: AttendHead) -> None:
        super().__init__()
        weight = head.projection.weight.reshape(ANCHORS, TAPS, head.outputs, CHANNELS)
        self.filters = weight.permute(0, 2, 3, 1).reshape(ANCHORS, head.outputs, CHANNELS, 3, 3)
        self.bias = head.bias

    def forward(self, features: Tensor, boxes: Tensor) -> Tensor:
        height, width = features.shape[2:]
        cells = cell_indices(height, width, boxes)
        regular = tap_points(torch.cat([cells, cells.new_ones(cells.shape) * 3])[None, None])
        # y and x of each tap, taps in the order of the filters: ONNX's order of offset channels.
        offsets = (tap_points(boxes) - regular).flatten(2, 3)
        outputs = [
            torch.onnx.ops.symbolic(
                "DeformConv",
                (features, self.filters[anchor], offsets[:, anchor], self.bias[anchor]),
                {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
                dtype=features.dtype,
                shape=(1, self.filters.shape[1], height, width),
            )
            for anchor in range(ANCHORS)
        ]
        return torch.stack(outputs, 1)
