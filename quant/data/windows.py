"""Windows onto a photo: zoom-out, IoU crop, and the one warp that draws a window as a picture.

A window is a rectangle x1 y1 x2 y2 in pixels of the photo, float64. It may reach beyond the photo.
Coordinates are continuous: the first pixel spans 0 to 1 and its centre is at 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_passd import boxes as geometry

MEAN_BGR = (104, 117, 124)  # mean colour of ImageNet: what lies outside the photo
_TRIALS = 50  # crops tried for each minimum IoU, as SSD does


def whole(photo: np.ndarray) -> np.ndarray:
    """(4,) the window that shows exactly the photo."""
    height, width = photo.shape[:2]
    return np.array([0, 0, width, height], np.float64)


def zoom_out(window: np.ndarray, largest: float, rng: np.random.Generator) -> np.ndarray:
    """(4,) a window 1 to `largest` times as wide and high, with `window` anywhere in it."""
    size = window[2:] - window[:2]
    grown = size * rng.uniform(1, largest)
    low = window[:2] - rng.random(2) * (grown - size)
    return np.concatenate([low, low + grown])


def iou_crop(
    window: np.ndarray,
    boxes: np.ndarray,
    min_ious: Sequence[float],
    min_side: float,
    max_aspect: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(4,) a part of `window`, chosen among SSD's kinds of crop with equal chance.

    The kinds: the whole window, any part that holds the centre of a box, and for each of
    `min_ious` a part that also has at least that IoU with one of these boxes. A kind that no
    random part satisfies is passed over.

    boxes: (M, 4) corners in pixels of the photo, M at least 1.
    min_side: the least width and height, as a fraction of the window's.
    max_aspect: the most that a part's sides may differ, as their ratio (>= 1).
    """
    for kind in rng.permutation(len(min_ious) + 2):
        if kind == 0:
            break
        parts = _random_parts(window, min_side, max_aspect, rng)
        least = 0.0 if kind == 1 else min_ious[kind - 2]
        fits = _holds_centre(parts, boxes) & (geometry.iou(parts, boxes) >= least)
        fitting = parts[fits.any(axis=1)]
        if len(fitting):
            return fitting[0]
    return window


def draw(photo: np.ndarray, window: np.ndarray, flip: bool, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) uint8: the window onto the photo, stretched to `size` = (w, h), perhaps mirrored.

    What lies outside the photo has the mean colour.
    """
    source, origin, step = _shrunk_source(photo, window, size)
    width, height = size
    scale = step * (width, height) / (window[2:] - window[:2])
    shift = (origin - window[:2]) * (width, height) / (window[2:] - window[:2])
    if flip:
        scale[0], shift[0] = -scale[0], width - shift[0]
    # warpAffine counts from pixel centres, windows from pixel edges.
    shift += scale / 2 - 0.5
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    outside = (window[:2] < 0).any() or (window[2:] > photo.shape[1::-1]).any()
    return cv2.warpAffine(
        source,
        matrix,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT if outside else cv2.BORDER_REPLICATE,
        borderValue=MEAN_BGR,
    )


def move_boxes(
    boxes: np.ndarray, window: np.ndarray, flip: bool, size: tuple[int, int]
) -> np.ndarray:
    """(M, 4) float64 corners in the picture that `draw` gives; not clipped to it."""
    scale = np.array(size) / (window[2:] - window[:2])
    moved = (boxes - np.tile(window[:2], 2)) * np.tile(scale, 2)
    if flip:
        moved[:, [0, 2]] = size[0] - moved[:, [2, 0]]
    return moved


def _random_parts(
    window: np.ndarray, min_side: float, max_aspect: float, rng: np.random.Generator
) -> np.ndarray:
    """(T, 4) random rectangles inside the window whose aspect ratio is allowed."""
    size = window[2:] - window[:2]
    sides = size * rng.uniform(min_side, 1, (_TRIALS, 2))
    low = window[:2] + rng.random((_TRIALS, 2)) * (size - sides)
    aspect = sides[:, 0] / sides[:, 1]
    allowed = (aspect <= max_aspect) & (aspect >= 1 / max_aspect)
    return np.concatenate([low, low + sides], axis=1)[allowed]


def _holds_centre(parts: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(T, M) bool: the centre of the box lies inside the part."""
    centre = geometry.centres(boxes)[None, :, :2]
    inside = (centre > parts[:, None, :2]) & (centre < parts[:, None, 2:])
    return np.all(inside, axis=-1)


def _shrunk_source(
    photo: np.ndarray, window: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the warp should read from: its pixels, its origin in the photo, photo pixels per pixel.

    That is the part of the photo that the window shows, with a margin for interpolation. Bilinear
    warping skips pixels when it shrinks by more than two; there this part is averaged down first.
    """
    shrink = np.maximum((window[2:] - window[:2]) / size, 1).astype(int)
    limit = np.array(photo.shape[1::-1])
    low = np.clip(np.floor(window[:2]) - shrink - 1, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(window[2:]) + shrink + 1, low + 1, limit).astype(int)
    pixels = photo[low[1] : high[1], low[0] : high[0]]
    extent = high - low
    if shrink.max() > 1:
        width, height = np.maximum(extent // shrink, 1).tolist()
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return pixels, low.astype(np.float64), extent / pixels.shape[1::-1]
