"""The offset convolution's sampling stage, `OffsetSample`: the reference every target answers to.

PASSD samples nine points of the adjusted box, the centres of its 3x3 partition (eq. 4), from
features that a 1x1 convolution has already projected to A * 9 * D channels.
"""

from __future__ import annotations

import numpy as np

DOMAIN = "edge_passd"
NAME = "OffsetSample"
TAPS = 9

# Tap t is the cell (u, v) of the 3x3 partition, t = 3 * (u + 1) + (v + 1).
TAP_ROWS = np.repeat(np.array([-1, 0, 1]), 3)
TAP_COLUMNS = np.tile(np.array([-1, 0, 1]), 3)


def offset_sample(projected: np.ndarray, points_box: np.ndarray, outputs: int) -> np.ndarray:
    """Sum over the nine taps of the bilinear sample of that tap's channels.

    projected: (1, A * 9 * D, H, W), channels in the order anchor, tap, output.
    points_box: (1, A, 4, H, W) of (cy, cx, h, w), absolute, in feature cells.
    outputs: D.
    Returns (1, A, D, H, W) in the dtype of `projected`. Each of the four corners of a sample that
    lies outside the map counts as zero on its own. Raises ValueError when the shapes disagree.
    """
    _, anchors, _, height, width = points_box.shape
    if projected.shape != (1, anchors * TAPS * outputs, height, width):
        raise ValueError(f"{projected.shape} and {points_box.shape} disagree for D = {outputs}")
    maps = projected.reshape(anchors, TAPS, outputs, height * width)
    cy, cx, h, w = (points_box[0, :, i, None] for i in range(4))  # each (A, 1, H, W)
    y = cy + TAP_ROWS[:, None, None].astype(h.dtype) * h / 3
    x = cx + TAP_COLUMNS[:, None, None].astype(w.dtype) * w / 3
    # Beyond one cell outside every corner is zero anyway: clipping there keeps the indices finite.
    y = np.clip(y, -2, height + 1).reshape(anchors, TAPS, -1)
    x = np.clip(x, -2, width + 1).reshape(anchors, TAPS, -1)
    top, left = np.floor(y), np.floor(x)

    total = np.zeros((anchors, outputs, height * width), projected.dtype)
    for row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
        for column, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = np.where(inside, row_weight * column_weight, 0).astype(projected.dtype)
            index = np.where(inside, row * width + column, 0).astype(np.intp)
            values = np.take_along_axis(maps, index[:, :, None], axis=3)
            total += (weight[:, :, None] * values).sum(axis=1)
    return total.reshape(1, anchors, outputs, height, width)
