"""Photo to model input, and boxes back from the model input to the photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_passd import boxes as geometry

# Black-to-white midpoint: close to 0 after the model's normalisation, as its zero padding is.
LETTERBOX_GREY = 127


@dataclass(frozen=True)
class Placement:
    """Where a photo lies in the square model input, all in pixels.

    width, height: of the photo. left, top, inner_width, inner_height: its rectangle in the input.
    """

    width: int
    height: int
    left: int
    top: int
    inner_width: int
    inner_height: int

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels for each photo pixel, along x and y."""
        return self.inner_width / self.width, self.inner_height / self.height


def place(width: int, height: int, size: int, resize: str) -> Placement:
    """The placement of a width x height photo in a size x size input.

    resize: "stretch" fills the input; "letterbox" keeps the aspect ratio and centres the photo.
    Raises ValueError for another word.
    """
    if resize == "stretch":
        return Placement(width, height, 0, 0, size, size)
    if resize == "letterbox":
        scale = size / max(width, height)
        inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (size - inner_width) // 2, (size - inner_height) // 2
        return Placement(width, height, left, top, inner_width, inner_height)
    raise ValueError(f"resize must be 'stretch' or 'letterbox', not {resize!r}")


def to_input(image: np.ndarray, size: int, resize: str) -> tuple[np.ndarray, Placement]:
    """(H, W, 3) uint8 BGR to (1, 3, size, size) float32 RGB 0..255, and its placement."""
    at = place(image.shape[1], image.shape[0], size, resize)
    square = cv2.resize(image, (at.inner_width, at.inner_height), interpolation=cv2.INTER_LINEAR)
    if resize == "letterbox":
        right, bottom = size - at.left - at.inner_width, size - at.top - at.inner_height
        square = cv2.copyMakeBorder(
            square, at.top, bottom, at.left, right, cv2.BORDER_CONSTANT, value=(LETTERBOX_GREY,) * 3
        )
    return cv2.dnn.blobFromImage(square, swapRB=True), at


def to_photo(boxes: np.ndarray, at: Placement) -> np.ndarray:
    """(K, 4) float corners in input pixels to (K, 4) float32 in photo pixels, cut to the photo."""
    corner = np.array([at.left, at.top] * 2, np.float64)
    moved = (boxes - corner) / np.array(at.scale * 2, np.float64)
    return geometry.clip(moved, at.width, at.height).astype(np.float32)
