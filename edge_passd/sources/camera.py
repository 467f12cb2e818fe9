"""A camera by its number: asked for a size and a rate, and it is said what it really gives."""

from __future__ import annotations

import glob
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2

from edge_passd.errors import BadInput
from edge_passd.sources.live import Live
from edge_passd.sources.opening import open_within, opened
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.source import Capture

_log = logging.getLogger(__name__)

DEVICE = "/dev/video"
_MJPG = "MJPG"


class Camera(Capture, Protocol):
    """A capture that takes wishes."""

    def set(self, propId: int, value: float) -> bool: ...


def open_camera(
    index: int,
    options: CameraOptions | None = None,
    report: Callable[[str], object] = _log.warning,
    capture_of: Callable[[int], Camera] | None = None,
    devices: Callable[[], Sequence[str]] | None = None,
) -> Live:
    """Camera `index`, which is opened again whenever it is lost.

    report: takes a line if the camera does not give what `options` ask for, one when it is lost
    and one when it is back. capture_of, devices: for tests, in place of OpenCV's cameras and the
    devices of this machine. Raises BadInput if there is no such camera or it cannot be opened.
    """
    options, capture_of = options or CameraOptions(), capture_of or _open
    name, device = f"camera:{index}", f"{DEVICE}{index}"
    if devices is None and sys.platform == "linux":
        devices = _devices
    if devices is not None and device not in (there := tuple(devices())):
        listed = f"there are {', '.join(there)}" if there else f"there is no {DEVICE}*"
        raise BadInput(f"no camera {index}: {listed}; is it plugged in?")

    def configured() -> Camera:
        capture = capture_of(index)
        if capture.isOpened():
            ask(capture, options)
        return capture

    def reopen() -> Capture | None:
        return opened(configured()) if devices is None or device in devices() else None

    capture = open_within(configured, options.timeout_s)
    if capture is None:
        raise BadInput(f"camera {index} does not open within {options.timeout_s:g} s; replug it")
    if not capture.isOpened():
        raise BadInput(
            f"cannot open camera {index}; does another program use it, "
            f"or may this user not read {device}?"
        )
    if difference := unlike(capture, options):
        report(f"{name}: {difference}")
    return Live(capture, name, options.timeout_s, reopen, options.give_up_s, report)


def ask(camera: Camera, options: CameraOptions) -> None:
    """Tell the driver what is wanted; it does what it can."""
    if options.mjpg:  # first: the sizes and rates that a camera has are those of its format
        camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*_MJPG))
    wishes = {
        cv2.CAP_PROP_FRAME_WIDTH: options.width,
        cv2.CAP_PROP_FRAME_HEIGHT: options.height,
        cv2.CAP_PROP_FPS: options.fps,
    }
    for prop, value in wishes.items():
        if value is not None:
            camera.set(prop, value)


def unlike(camera: Capture, options: CameraOptions) -> str:
    """What the driver gives other than it was asked for; empty when it obeys or does not tell."""
    width, height = (
        int(camera.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    fps, code = camera.get(cv2.CAP_PROP_FPS), int(camera.get(cv2.CAP_PROP_FOURCC))
    pairs = []
    asked_size = options.width or width, options.height or height
    if width > 0 and height > 0 and asked_size != (width, height):
        pairs.append(("{}x{}".format(*asked_size), f"{width}x{height}"))
    if options.fps is not None and fps > 0 and abs(fps - options.fps) > 0.5:
        pairs.append((f"{options.fps:g} fps", f"{fps:g} fps"))
    if options.mjpg and code > 0 and (given := four_letters(code)) != _MJPG:
        pairs.append((_MJPG, given))
    if not pairs:
        return ""
    asked, given = (" ".join(side) for side in zip(*pairs, strict=True))
    return f"asked for {asked}, the camera gives {given}"


def four_letters(code: int) -> str:
    """The name of a pixel format; its bytes, lowest first."""
    letters = code.to_bytes(4, "little").decode("latin-1")
    return letters if letters.isprintable() else f"format {code:#x}"


def _devices() -> Sequence[str]:
    return sorted(glob.glob(f"{DEVICE}*"))


def _open(index: int) -> Camera:
    return cv2.VideoCapture(index, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
