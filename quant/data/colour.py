"""Photometric distortion of a BGR picture: brightness, contrast, saturation, hue, channel order."""

from __future__ import annotations

import cv2
import numpy as np


def adjust(picture: np.ndarray, contrast: float, brightness: float) -> np.ndarray:
    """Every value v of a uint8 picture to contrast * v + brightness, clipped."""
    if contrast == 1 and brightness == 0:
        return picture
    levels = np.arange(256) * contrast + brightness
    return cv2.LUT(picture, np.clip(np.round(levels), 0, 255).astype(np.uint8))


def shift_hue(picture: np.ndarray, degrees: float, saturation: float) -> np.ndarray:
    """(H, W, 3) uint8 BGR with its hue turned by `degrees` and its saturation multiplied."""
    if degrees == 0 and saturation == 1:
        return picture
    levels = np.arange(256)
    table = np.empty((1, 256, 3), np.uint8)
    # The FULL conversions spread the circle of hues over 256 levels, so it closes by wrapping.
    table[0, :, 0] = (levels + round(degrees * 256 / 360)) % 256
    table[0, :, 1] = np.clip(np.round(levels * saturation), 0, 255)
    table[0, :, 2] = levels
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV_FULL)
    return cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2BGR_FULL)
