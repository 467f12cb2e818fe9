"""Cameras on the board's ribbon connector, by GStreamer: `csi://0`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import cv2

from edge_passd.board.identity import JETSON, identify
from edge_passd.errors import BadInput
from edge_passd.sources.live import Live
from edge_passd.sources.opening import open_within, opened
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.source import Capture

_log = logging.getLogger(__name__)

SCHEME = "csi://"

# What a sensor of every board has; a full sensor at full size is more than a detector looks at.
_WIDTH, _HEIGHT, _FPS = 1280, 720, 30

# The newest frame only, as soon as it is there.
_SINK = "video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"

# As libcamera names a camera, after its place in the device tree. Nothing else may get into the
# text of a pipeline.
_LIBCAMERA_NAME = re.compile(r"/[A-Za-z0-9@/_.-]{1,200}")


def jetson_pipeline(sensor: int, options: CameraOptions) -> str:
    """The camera's own processor makes the picture, the next one scales and converts it."""
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), {_caps(options)} ! "
        f"nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! {_SINK}"
    )


def libcamera_pipeline(name: str, options: CameraOptions) -> str:
    """name: of the camera, as libcamera has it; empty takes the first."""
    source = f"libcamerasrc camera-name={name}" if name else "libcamerasrc"
    return f"{source} ! video/x-raw, format=NV12, {_caps(options)} ! videoconvert ! {_SINK}"


def pipeline(url: str, board: str, options: CameraOptions) -> str:
    """The pipeline for `csi://N`, or `csi://NAME` where libcamera tells cameras by their names.

    board: kind of machine, as in `board.identity`. Raises BadInput for another form.
    """
    camera = url.removeprefix(SCHEME)
    if camera.isdecimal() and camera.isascii() and len(camera) < 4:
        if board == JETSON:
            return jetson_pipeline(int(camera), options)
        if int(camera) == 0:
            return libcamera_pipeline("", options)
    elif board != JETSON and _LIBCAMERA_NAME.fullmatch(camera):
        return libcamera_pipeline(camera, options)
    forms = (
        "give csi://0, csi://1, ..."
        if board == JETSON
        else f"give csi://0 for the first, or {SCHEME} and the name of another, as "
        "`rpicam-hello --list-cameras` shows it"
    )
    raise BadInput(f"{url}: no such camera on this board; {forms}")


def has_gstreamer(build_information: str) -> bool:
    """Whether OpenCV, by what `cv2.getBuildInformation` says, can run a pipeline."""
    return re.search(r"^\s*GStreamer:\s*YES", build_information, re.MULTILINE) is not None


def open_csi(
    url: str,
    options: CameraOptions | None = None,
    report: Callable[[str], object] = _log.warning,
    capture_of: Callable[[str], Capture] | None = None,
    board: str | None = None,
    build_information: str | None = None,
) -> Live:
    """The camera of `csi://N`, which is opened again whenever it is lost.

    report: takes a line when it is lost and one when it is back. capture_of, board,
    build_information: for tests, in place of OpenCV's capture of a pipeline, of this machine's kind
    and of `cv2.getBuildInformation()`. Raises BadInput, which shows the pipeline and whether OpenCV
    has GStreamer, if the camera cannot be opened.
    """
    options, make = options or CameraOptions(), capture_of or _open
    board = board or identify().kind
    text = pipeline(url, board, options)
    if not has_gstreamer(build_information or cv2.getBuildInformation()):
        raise BadInput(
            f"{url}: OpenCV {cv2.__version__} here is built without GStreamer, so it cannot run "
            f"`{text}`; {_install(board)}"
        )
    capture = open_within(lambda: make(text), options.timeout_s)
    if capture is None or not capture.isOpened():
        raise BadInput(
            f"{url}: OpenCV {cv2.__version__} has GStreamer, but the pipeline does not start: "
            f"`{text}`; try it with gst-launch-1.0 and fakesink for appsink; {_check(board)}"
        )
    return Live(
        capture,
        url,
        options.timeout_s,
        lambda: opened(make(text)),
        options.give_up_s,
        report,
    )


def _caps(options: CameraOptions) -> str:
    fps = options.fps or _FPS
    # GStreamer's rates are fractions.
    rate = f"{fps:.0f}/1" if fps == round(fps) else f"{round(fps * 1000)}/1000"
    return f"width={options.width or _WIDTH}, height={options.height or _HEIGHT}, framerate={rate}"


def _install(board: str) -> str:
    own = (
        "use the board's own OpenCV: apt install python3-opencv, and a virtual environment with "
        "--system-site-packages and without opencv-python"
    )
    pipe = "rpicam-vid -t 0 --codec mjpeg -o - | edge-passd run --source -"
    return own if board == JETSON else f"{own}; or pipe it: {pipe}"


def _check(board: str) -> str:
    if board == JETSON:
        return "is the camera seated, and does `systemctl restart nvargus-daemon` help?"
    return "is the camera seated, and is gstreamer1.0-libcamera installed?"


def _open(text: str) -> Capture:
    return cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
