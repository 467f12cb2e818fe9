"""`offset_sample` in operations that TFLite has: it knows no grid sample, but it looks up rows."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edge_passd.offset_sample import TAP_COLUMNS, TAP_ROWS, TAPS


def lookup_sample(projected: Tensor, boxes: Tensor) -> Tensor:
    """Stands in for `quant.model.offset_conv.offset_sample` in a model to export; one picture.

    projected: (1, A * 9 * D, H, W), channels in the order anchor, tap, output. boxes:
    (1, A, 4, H, W) cy, cx, h, w in cells. Returns (1, A, D, H, W). Box coordinates that are not
    finite raise IndexError.
    """
    _, anchors, _, height, width = boxes.shape
    maps = anchors * TAPS
    depth = projected.shape[1] // maps
    # TFLite's maps are channels last, so this is no copy there: a row for each cell and map.
    table = projected.permute(0, 2, 3, 1).reshape(-1, depth)

    def constant(*values: float | np.ndarray) -> Tensor:
        return torch.tensor(np.array(values), dtype=boxes.dtype, device=boxes.device)

    # Rows and columns go side by side: (2, cells, A, taps), half the operations in the graph.
    def by_axis(*values: float) -> Tensor:
        return constant(*values).reshape(2, 1, 1, 1)

    centre, size = (
        part.permute(1, 2, 3, 0).reshape(2, -1, anchors, 1) for part in boxes[0].split(2, dim=1)
    )
    steps = constant(TAP_ROWS, TAP_COLUMNS).reshape(2, 1, 1, TAPS) / 3
    # Two cells outside every corner counts as zero already; nearer the indices stay finite.
    points = (centre + size * steps).clamp(min=-2).minimum(by_axis(height + 1, width + 1))
    before = points.floor()
    fraction = points - before
    last, stride = by_axis(height - 1, width - 1), by_axis(width * maps, maps)

    def corner(cells: Tensor, weight: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        # A cell outside the map weighs nothing and is read from the border instead.
        inside = cells.clamp(min=0).minimum(last)
        return (inside * stride).unbind(), (weight * (inside == cells).to(weight.dtype)).unbind()

    corners = corner(before, 1 - fraction), corner(before + 1, fraction)
    own_map = constant(*range(maps)).reshape(anchors, TAPS)
    samples = []
    for (row, _), (row_weight, _) in corners:
        for (_, column), (_, column_weight) in corners:
            # Whole numbers far below 2^24, so float32 holds them exactly.
            index = (row + column + own_map).to(torch.int32).reshape(-1)
            weight = (row_weight * column_weight).to(projected.dtype).reshape(-1, 1)
            samples.append(F.embedding(index, table) * weight)
    sampled = reduce(add, samples).reshape(-1, TAPS, depth).sum(1)
    return sampled.reshape(1, height, width, anchors, depth).permute(0, 3, 4, 1, 2)
