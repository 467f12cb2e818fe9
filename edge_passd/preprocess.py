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


class Preprocessor:
    """As `to_input`, again and again without allocating: each call writes over the last one's
    tensor. For one thread at a time.

    size, resize: as in `place`.
    """

    def __init__(self, size: int, resize: str) -> None:
        self._size, self._resize = size, resize
        self._square = np.empty((size, size, 3), np.uint8)
        self._planes = [np.empty((size, size), np.uint8) for _ in range(3)]
        self._tensor = np.empty((1, 3, size, size), np.float32)
        self._at: Placement | None = None

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        """(H, W, 3) uint8 BGR to (1, 3, size, size) float32 RGB 0..255, and its placement.

        The tensor is lent: the next call writes over it.
        """
        at = place(image.shape[1], image.shape[0], self._size, self._resize)
        if at != self._at:  # another margin
            self._square[...] = LETTERBOX_GREY
            self._at = at
        inner = self._square[at.top : at.top + at.inner_height, at.left : at.left + at.inner_width]
        cv2.resize(
            image, (at.inner_width, at.inner_height), dst=inner, interpolation=cv2.INTER_LINEAR
        )
        # Planes first, numbers after: OpenCV and numpy have vector code for each of the two steps,
        # and neither for both at once.
        for channel, plane in zip((2, 1, 0), cv2.split(self._square, self._planes), strict=True):
            self._tensor[0, channel] = plane
        return self._tensor, at


def to_input(image: np.ndarray, size: int, resize: str) -> tuple[np.ndarray, Placement]:
    """(H, W, 3) uint8 BGR to (1, 3, size, size) float32 RGB 0..255, and its placement."""
    return Preprocessor(size, resize)(image)


def to_photo(boxes: np.ndarray, at: Placement) -> np.ndarray:
    """(K, 4) float corners in input pixels to (K, 4) float32 in photo pixels, cut to the photo."""
    corner = np.array([at.left, at.top] * 2, np.float64)
    moved = (boxes - corner) / np.array(at.scale * 2, np.float64)
    return geometry.clip(moved, at.width, at.height).astype(np.float32)
