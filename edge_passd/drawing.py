"""Boxes, lines and zones with their labels, drawn onto a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from edge_passd.photo import as_bgr

Colour = tuple[int, int, int]  # blue, green, red, each 0-255

_FONT = cv2.FONT_HERSHEY_DUPLEX
_GOLDEN_RATIO = 0.618034
# Sides of a photo, pixels, for which a label is one font unit high; smaller photos scale down
# to a size that can still be read.
_UNIT_SIDE = 1000
_FONT_RANGE = (0.45, 2.5)
# Of lines and zones: white on every picture, told from boxes at a glance.
_REGION_COLOUR: Colour = (255, 255, 255)
_REGION_EDGE: Colour = (40, 40, 40)
_ZONE_TINT = 0.15


def class_colour(label: int) -> Colour:
    """BGR of a class: always the same for a label, far from that of its neighbours."""
    hue = (0.58 + label * _GOLDEN_RATIO) % 1
    value = 0.95 if label % 2 == 0 else 0.8
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.8, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_boxes(
    image: np.ndarray, boxes: np.ndarray, texts: Sequence[str], colours: Sequence[Colour]
) -> np.ndarray:
    """A new (H, W, 3) uint8 BGR picture: `image` with boxes and a label on each.

    image: as `photo.as_bgr` takes it. boxes: (K, 4) x1 y1 x2 y2 in its pixels, the most important
    first: it is drawn on top. texts, colours: K each.
    """
    picture = as_bgr(image).copy()
    height, width = picture.shape[:2]
    scale, line = _weights(picture)
    items = [
        (*_corners(box, width, height), text, colour)
        for box, text, colour in zip(boxes, texts, colours, strict=True)
    ][::-1]
    for start, end, _, colour in items:
        cv2.rectangle(picture, start, end, colour, line)
    for start, _, text, colour in items:
        _label(picture, text, start, colour, scale, line)
    return picture


def draw_line(image: np.ndarray, points: np.ndarray, text: str) -> np.ndarray:
    """A new (H, W, 3) uint8 BGR picture: `image` with a line and its label.

    An arrow across its middle points to the right of the way from its first point to the second.
    image: as `photo.as_bgr` takes it. points: (2, 2) x y in its pixels, different.
    """
    picture = as_bgr(image).copy()
    scale, line = _weights(picture)
    first, second = points
    middle = (first + second) / 2
    dx, dy = (second - first) / np.hypot(*(second - first))
    tip = middle + 30 * scale * np.array([-dy, dx])
    for colour, weight in ((_REGION_EDGE, line + 2), (_REGION_COLOUR, line)):
        cv2.line(picture, _pixel(first), _pixel(second), colour, weight, cv2.LINE_AA)
        cv2.arrowedLine(
            picture, _pixel(middle), _pixel(tip), colour, weight, cv2.LINE_AA, tipLength=0.4
        )
    start = first if tuple(first) < tuple(second) else second  # the left end, where text begins
    _label(picture, text, _pixel(start), _REGION_COLOUR, scale, line)
    return picture


def draw_zone(image: np.ndarray, points: np.ndarray, text: str) -> np.ndarray:
    """A new (H, W, 3) uint8 BGR picture: `image` with a tinted polygon and its label.

    image: as `photo.as_bgr` takes it. points: (P, 2) x y in its pixels.
    """
    picture = as_bgr(image).copy()
    scale, line = _weights(picture)
    outline = np.rint(points).astype(np.int32)
    tinted = cv2.fillPoly(picture.copy(), [outline], _REGION_COLOUR)
    picture = cv2.addWeighted(tinted, _ZONE_TINT, picture, 1 - _ZONE_TINT, 0)
    thin = max(1, line // 2)
    for colour, weight in ((_REGION_EDGE, thin + 2), (_REGION_COLOUR, thin)):
        cv2.polylines(picture, [outline], True, colour, weight, cv2.LINE_AA)
    left, top = outline[np.lexsort(outline.T)[0]].tolist()
    _label(picture, text, (left, top), _REGION_COLOUR, scale, line)
    return picture


def _weights(picture: np.ndarray) -> tuple[float, int]:
    """Font scale and width of lines, pixels, that suit the size of a picture."""
    height, width = picture.shape[:2]
    scale = float(np.clip((height * width) ** 0.5 / _UNIT_SIDE, *_FONT_RANGE))
    return scale, max(2, round(3 * scale))


def _pixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(point).astype(int).tolist()
    return x, y


def _corners(box: np.ndarray, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return (x1, y1), (min(x2, width - 1), min(y2, height - 1))


def _label(
    picture: np.ndarray,
    text: str,
    corner: tuple[int, int],
    colour: Colour,
    scale: float,
    line: int,
) -> None:
    """Write `text` on a filled plate above `corner`, or below it where the picture ends."""
    height, width = picture.shape[:2]
    weight = 1 if scale < 1 else 2
    pad = max(2, round(6 * scale))
    (text_width, ascent), descent = cv2.getTextSize(text, _FONT, scale, weight)
    room = width - 2 * pad
    if text_width > room > 0:
        scale *= room / text_width
        (text_width, ascent), descent = cv2.getTextSize(text, _FONT, scale, weight)
    plate_width, plate_height = text_width + 2 * pad, ascent + descent + pad
    left = max(0, min(corner[0] - line // 2, width - plate_width))
    top = corner[1] - plate_height
    if top < 0:
        top = max(0, min(corner[1], height - plate_height))
    far_corner = (left + plate_width - 1, top + plate_height - 1)  # OpenCV fills it included
    cv2.rectangle(picture, (left, top), far_corner, colour, -1)
    ink = (0, 0, 0) if _luminance(colour) > 120 else (255, 255, 255)
    baseline = (left + pad, top + ascent + pad // 2)
    cv2.putText(picture, text, baseline, _FONT, scale, ink, weight, cv2.LINE_AA)


def _luminance(bgr: Colour) -> float:
    return 0.114 * bgr[0] + 0.587 * bgr[1] + 0.299 * bgr[2]
