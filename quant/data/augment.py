"""SSD's data augmentation: a photo and its boxes to a square training picture.

Pure functions: all chance comes from the generator that is passed in. The geometric changes are
gathered into one window onto the photo, so that each picture costs a single warp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_passd import boxes as geometry
from edge_passd.errors import BadInput
from quant.data import colour, windows

_PROBABILITIES = ("photometric", "channel_order", "flip", "zoom_out", "crop", "mosaic")


class Scene(NamedTuple):
    """A picture and what is in it.

    pixels: (H, W, 3) uint8 BGR. boxes: (M, 4) float32 corners in its pixels. labels: (M,) int64.
    ignored: (M,) bool.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly to augment. With every probability at 0 a photo is only resized.

    photometric: probability of each of brightness, contrast, saturation and hue.
    brightness: largest shift, grey levels. contrast, saturation: largest change of the factor 1.
    hue: largest turn, degrees. channel_order: probability that the colour channels change places.
    flip: probability of a mirrored picture.
    zoom_out, zoom_out_max: probability, and the largest canvas in sides of the photo.
    crop: probability of SSD's random crop. crop_ious: the minimum IoUs it chooses from.
    crop_min_side: least side of a crop, as a fraction. crop_max_aspect: largest ratio of its sides.
    mosaic: probability that a picture is put together from four photos.
    min_box: boxes with a side below this are left out, pixels of the training picture.
    ignore_cut: a box whose centre is cut away stays as an ignored box; in SSD it is background.
    """

    photometric: float = 0.5
    brightness: float = 32.0
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 18.0
    channel_order: float = 0.05
    flip: float = 0.5
    zoom_out: float = 0.5
    zoom_out_max: float = 4.0
    crop: float = 1.0
    crop_ious: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    crop_min_side: float = 0.3
    crop_max_aspect: float = 2.0
    mosaic: float = 0.0
    min_box: float = 2.0
    ignore_cut: bool = False

    def __post_init__(self) -> None:
        # A configuration read back from JSON has lists where this one has tuples.
        object.__setattr__(self, "crop_ious", tuple(self.crop_ious))
        for name in _PROBABILITIES:
            _require(name, getattr(self, name), 0, 1)
        for name in ("contrast", "saturation"):
            _require(name, getattr(self, name), 0, 1)
        _require("brightness", self.brightness, 0, 255)
        _require("hue", self.hue, 0, 180)
        _require("zoom_out_max", self.zoom_out_max, 1, 16)
        _require("crop_min_side", self.crop_min_side, 0.05, 1)
        _require("crop_max_aspect", self.crop_max_aspect, 1, 20)
        _require("min_box", self.min_box, 0, 64)
        for value in self.crop_ious:
            _require("crop_ious", value, 0, 1)


def augment(
    photo: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    ignored: np.ndarray,
    size: int,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> Scene:
    """One random training picture of `size` x `size` pixels.

    photo: (H, W, 3) uint8 BGR; it is not changed. boxes: (M, 4) corners in its pixels.
    labels, ignored: (M,). Boxes stay when their centre does (ignored ones when any of them does),
    clipped to the picture.
    """
    window = windows.whole(photo)
    if rng.random() < config.zoom_out:
        window = windows.zoom_out(window, config.zoom_out_max, rng)
    if rng.random() < config.crop:
        # With nothing to find the photo itself is the object, so that a crop shows some of it.
        wanted = windows.whole(photo)[None] if ignored.all() else boxes[~ignored]
        window = windows.iou_crop(
            window,
            wanted,
            config.crop_ious,
            config.crop_min_side,
            config.crop_max_aspect,
            rng,
        )
    flip = bool(rng.random() < config.flip)
    scene = Scene(photo, boxes, labels, ignored)
    shown = _show(scene, window, flip, (size, size), config)
    return shown._replace(pixels=distort(shown.pixels, config, rng))


def mosaic(
    scenes: Sequence[Scene], size: int, config: AugmentConfig, rng: np.random.Generator
) -> Scene:
    """One picture of `size` x `size` pixels from four scenes, one to each corner.

    The corners meet at a random point. Each shows a part of its photo at 0.5 to 1 times the scale
    that the photo alone would have.
    """
    if len(scenes) != 4:
        raise ValueError(f"a mosaic takes 4 scenes, not {len(scenes)}")
    x, y = (int(v) for v in rng.integers(round(0.3 * size), round(0.7 * size), 2, endpoint=True))
    pixels = np.empty((size, size, 3), np.uint8)
    parts = []
    tiles = ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size))
    for scene, (x1, y1, x2, y2) in zip(scenes, tiles, strict=True):
        tile = (x2 - x1, y2 - y1)
        window = _tile_window(scene.pixels, tile, size, rng)
        flip = bool(rng.random() < config.flip)
        shown = _show(scene, window, flip, tile, config)
        pixels[y1:y2, x1:x2] = distort(shown.pixels, config, rng)
        parts.append(shown._replace(boxes=shown.boxes + np.array([x1, y1, x1, y1], np.float32)))
    return Scene(
        pixels,
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.ignored for p in parts]),
    )


def distort(picture: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """SSD's photometric distortion of an (H, W, 3) uint8 BGR picture."""

    def drawn(limit: float) -> float:
        return rng.uniform(-limit, limit) if rng.random() < config.photometric else 0.0

    brightness, contrast = drawn(config.brightness), 1 + drawn(config.contrast)
    degrees, saturation = drawn(config.hue), 1 + drawn(config.saturation)
    # As in SSD, contrast comes either before or after the change of hue and saturation.
    if rng.random() < 0.5:
        picture = colour.adjust(picture, contrast, contrast * brightness)
        picture = colour.shift_hue(picture, degrees, saturation)
    else:
        picture = colour.adjust(picture, 1, brightness)
        picture = colour.shift_hue(picture, degrees, saturation)
        picture = colour.adjust(picture, contrast, 0)
    if rng.random() < config.channel_order:
        picture = np.ascontiguousarray(picture[:, :, rng.permutation(3)])
    return picture


def _show(
    scene: Scene, window: np.ndarray, flip: bool, size: tuple[int, int], config: AugmentConfig
) -> Scene:
    moved = windows.move_boxes(scene.boxes, window, flip, size)
    centre = geometry.centres(moved)[:, :2]
    centre_shown = ((centre > 0) & (centre < size)).all(axis=1)
    clipped = geometry.clip(moved, *size)
    large_enough = (clipped[:, 2:] - clipped[:, :2] >= config.min_box).all(axis=1)
    ignored = scene.ignored | (~centre_shown & config.ignore_cut)
    # Some of an object is no longer that object; some of an ignored box still is to be ignored.
    kept = (centre_shown | ignored) & large_enough
    return Scene(
        windows.draw(scene.pixels, window, flip, size),
        clipped[kept].astype(np.float32),
        scene.labels[kept],
        ignored[kept],
    )


def _tile_window(
    photo: np.ndarray, tile: tuple[int, int], size: int, rng: np.random.Generator
) -> np.ndarray:
    """(4,) the part of the photo that a mosaic tile of (w, h) pixels shows."""
    fraction = np.array(tile) / size
    # At this least scale the photo is as wide and as high as its tile.
    scale = rng.uniform(max(0.5, fraction.max()), 1)
    extent = windows.whole(photo)[2:]
    shown = extent * fraction / scale
    low = rng.random(2) * (extent - shown)
    return np.concatenate([low, low + shown])


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadInput(f"augmentation: {name} must be from {low} to {high}, not {value}")
