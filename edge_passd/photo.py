"""One photo: from a file, or any image array, to BGR pixels."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.files import require_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_JPEG_START, _JPEG_END, _JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", b"\xda"
_PNG_START = b"\x89PNG\r\n\x1a\n"


def read_photo(path: Path, upright: bool = True) -> np.ndarray:
    """(H, W, 3) uint8 BGR.

    upright: turn the photo as its EXIF orientation says; False leaves the pixels as stored.
    Raises BadInput for a file that is missing, empty, cut short, damaged or no picture.
    """
    require_file(path, "a photo")
    return decode_photo(path.read_bytes(), str(path), upright)


def decode_photo(data: bytes, name: str, upright: bool = True) -> np.ndarray:
    """As `read_photo`, from the bytes of a photo file. name: for the error."""
    # Looked at before decoding: OpenCV fills the missing part of a JPEG with grey, silently, and
    # its PNG library writes lines of its own on stderr.
    if _jpeg_is_cut_short(data) or _png_is_damaged(data):
        raise BadInput(f"{name}: the photo is cut short or damaged; copy it again")
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # the one error it raises here: more pixels than it agrees to decode
        raise BadInput(f"{name}: the photo is too large to decode; scale it down") from None
    if image is None:
        raise BadInput(f"{name}: not a picture that can be read; give one of {', '.join(SUFFIXES)}")
    return image


def as_bgr(image: np.ndarray) -> np.ndarray:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8 to (H, W, 3) uint8 BGR.

    One channel is grey, three are BGR (returned as they are), four are BGRA, whose alpha is
    dropped. Raises ValueError for another type or shape, or no pixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"an image must be a uint8 array, not {kind}")
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise ValueError(f"an image must be (H, W) or (H, W, 1, 3 or 4), not {image.shape}")
    if channels == 3:
        return image
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if channels == 1 else cv2.COLOR_BGRA2BGR)


def _jpeg_is_cut_short(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker.

    Searched from the first scan on: the thumbnail in a header segment has an end marker too.
    """
    if not data.startswith(_JPEG_START):
        return False
    at = len(_JPEG_START)
    while data[at : at + 1] == b"\xff" and (marker := data[at + 1 : at + 2]) != _JPEG_SCAN:
        is_fill = marker == b"\xff"
        at += 1 if is_fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(_JPEG_END, at) < 0


def _png_is_damaged(data: bytes) -> bool:
    """Whether a PNG ends early or a chunk that its picture needs fails its checksum."""
    if not data.startswith(_PNG_START):
        return False
    at, name = len(_PNG_START), b""
    while name != b"IEND":
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        name, checksum = data[at + 4 : at + 8], data[end : end + 4]
        is_needed = name[:1].isupper()  # the format's own rule for chunk names
        if len(checksum) < 4:
            return True
        if is_needed and zlib.crc32(data[at + 4 : end]) != int.from_bytes(checksum, "big"):
            return True
        at = end + 4
    return False
