"""What a Video4Linux device says of itself (linux/videodev2.h), asked without capturing."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_QUERYCAP, _ENUM_FMT = 0x80685600, 0xC0405602  # VIDIOC_..., of 104 and 64 bytes
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_FORMAT = struct.Struct("III32s4s16x")
_CAPTURE, _CAPTURE_PLANES, _DEVICE_CAPS = 0x1, 0x1000, 0x80000000  # V4L2_CAP_...
_BUFFERS = {_CAPTURE: 1, _CAPTURE_PLANES: 9}  # V4L2_BUF_TYPE_VIDEO_CAPTURE...
_MOST_FORMATS = 32


@dataclass(frozen=True)
class Device:
    """formats: four letters each, as in "MJPG"; none for a device that captures nothing."""

    card: str
    driver: str
    captures: bool
    formats: tuple[str, ...]


def read_device(path: Path) -> Device:
    """Raises OSError for a device that cannot be opened or is none of Video4Linux."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = bytearray(_CAPABILITY.size)
        fcntl.ioctl(descriptor, _QUERYCAP, answer)
        driver, card, _, _, all_nodes, this_node = _CAPABILITY.unpack(answer)
        capabilities = this_node if all_nodes & _DEVICE_CAPS else all_nodes
        kinds = [kind for flag, kind in _BUFFERS.items() if capabilities & flag]
        formats = tuple(each for kind in kinds for each in _formats(descriptor, kind))
    finally:
        os.close(descriptor)
    # A codec captures as well, under another flag; metadata nodes do not.
    return Device(_text(card), _text(driver), bool(kinds), formats)


def _formats(descriptor: int, kind: int) -> list[str]:
    found: list[str] = []
    for index in range(_MOST_FORMATS):
        request = bytearray(_FORMAT.pack(index, kind, 0, b"", b""))
        try:
            fcntl.ioctl(descriptor, _ENUM_FMT, request)
        except OSError as error:
            if error.errno == errno.EINVAL:  # the end of the list
                break
            raise
        found.append(_text(_FORMAT.unpack(request)[4]))
    return found


def _text(content: bytes) -> str:
    return content.partition(b"\0")[0].decode("ascii", "replace").strip()
