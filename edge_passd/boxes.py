"""Box geometry, defined once: default boxes, the two box codings, IoU.

Boxes are either *corners* (x1, y1, x2, y2) or *centres* (cx, cy, w, h); the last axis has length
four, the unit is pixels of the square model input. Offsets are (dx, dy, dw, dh) as in eq. 1 of the
PASSD paper. Everything here is numpy; the torch code is tested against it.
"""

from __future__ import annotations

import numpy as np

# Sides of the three default boxes of a cell, in default scales of 4 strides (paper, section 5.1).
VOC_SCALES = (2 ** (0 / 3), 2 ** (1 / 3), 2 ** (2 / 3))
COCO_SCALES = (2 ** (-1 / 3), 2 ** (0 / 3), 2 ** (1 / 3))

# exp() of a size offset is clamped to exp(+-4): an early, wild prediction stays finite.
MAX_SIZE_OFFSET = 4.0


def strides_for(input_size: int) -> tuple[int, ...]:
    """Strides of the pyramid levels: 8 to 64, and 128 from an input of 768 px up."""
    if input_size < 64 or input_size % 64:
        raise ValueError(f"input size must be a positive multiple of 64, not {input_size}")
    return (8, 16, 32, 64, 128) if input_size >= 768 else (8, 16, 32, 64)


def cells_for(input_size: int) -> tuple[int, ...]:
    """Cells along one side of each level (rounded up where 128 does not divide the input)."""
    return tuple(-(-input_size // stride) for stride in strides_for(input_size))


def default_boxes(input_size: int, scales: tuple[float, ...] = VOC_SCALES) -> np.ndarray:
    """(N, 4) float32 centres of the default boxes; order: level, row, column, scale.

    Square, at every cell centre ((j + 0.5)s, (i + 0.5)s), side 4 * s * scale.
    """
    levels = []
    for stride, n in zip(strides_for(input_size), cells_for(input_size), strict=True):
        rows, columns, sides = np.meshgrid(
            (np.arange(n) + 0.5) * stride,
            (np.arange(n) + 0.5) * stride,
            4.0 * stride * np.asarray(scales),
            indexing="ij",
        )
        levels.append(np.stack([columns, rows, sides, sides], axis=-1).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def box_strides(input_size: int, scales: int = 3) -> np.ndarray:
    """(N,) float32: the stride of the level that each default box belongs to."""
    sizes = zip(strides_for(input_size), cells_for(input_size), strict=True)
    return np.concatenate([np.full(n * n * scales, s, np.float32) for s, n in sizes])


def corners(centres: np.ndarray) -> np.ndarray:
    """(..., 4) cx cy w h to x1 y1 x2 y2."""
    half = centres[..., 2:] / 2
    return np.concatenate([centres[..., :2] - half, centres[..., :2] + half], axis=-1)


def centres(corner_boxes: np.ndarray) -> np.ndarray:
    """(..., 4) x1 y1 x2 y2 to cx cy w h."""
    low, high = corner_boxes[..., :2], corner_boxes[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def encode(targets: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Eq. 1: offsets that move `boxes` onto `targets`; both (..., 4) centres of positive size."""
    shift = (targets[..., :2] - boxes[..., :2]) / boxes[..., 2:]
    return np.concatenate([shift, np.log(targets[..., 2:] / boxes[..., 2:])], axis=-1)


def decode(offsets: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Eq. 1 solved for the target: (..., 4) centres."""
    moved = boxes[..., :2] + offsets[..., :2] * boxes[..., 2:]
    return np.concatenate([moved, _sizes(offsets, boxes)], axis=-1)


def decode_clipped(offsets: np.ndarray, boxes: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """Eq. 2: as `decode`, but the centre moves by tanh(d) * stride / 2, so at most half a stride.

    strides: (...,) of the level of each box, pixels.
    """
    moved = boxes[..., :2] + np.tanh(offsets[..., :2]) * strides[..., None] / 2
    return np.concatenate([moved, _sizes(offsets, boxes)], axis=-1)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M, 4) and (N, 4) corners to (M, N) intersection over union; 0 where the union is empty."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = area(first)[:, None] + area(second)[None, :] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def area(corner_boxes: np.ndarray) -> np.ndarray:
    """(..., 4) corners to (...,) areas; 0 for a box turned inside out."""
    return np.prod(np.clip(corner_boxes[..., 2:] - corner_boxes[..., :2], 0, None), axis=-1)


def clip(corner_boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """(..., 4) corners cut to the picture [0, width] x [0, height]."""
    limit = np.array([width, height, width, height], dtype=corner_boxes.dtype)
    return np.clip(corner_boxes, 0, limit)


def _sizes(offsets: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    return boxes[..., 2:] * np.exp(np.clip(offsets[..., 2:], -MAX_SIZE_OFFSET, MAX_SIZE_OFFSET))
