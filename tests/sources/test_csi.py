"""Cameras on the board's connector: the text of the pipelines, and what is said without them."""

from __future__ import annotations

import subprocess

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.board.identity import JETSON, OTHER, PC, RASPBERRY_PI
from edge_passd.errors import BadInput
from edge_passd.sources.csi import has_gstreamer, open_csi, pipeline
from edge_passd.sources.open import open_source
from edge_passd.sources.options import CameraOptions
from tests.programs import require_program

WITH = "  Video I/O:\n    FFMPEG:      YES\n    GStreamer:                   YES (1.20.3)\n"
WITHOUT = WITH.replace("YES (1.20.3)", "NO")
SINK = "video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"


class Ribbon:
    """A pipeline that starts or does not."""

    def __init__(self, opens: bool = True) -> None:
        self._opens = opens

    def isOpened(self) -> bool:
        return self._opens

    def read(self) -> tuple[bool, np.ndarray | None]:
        return True, np.zeros((4, 6, 3), np.uint8)

    def get(self, propId: int) -> float:
        return 0.0

    def release(self) -> None: ...


@pytest.mark.parametrize(
    ("url", "board", "options", "text"),
    [
        (
            "csi://0",
            JETSON,
            CameraOptions(),
            "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=1280, height=720, "
            "framerate=30/1 ! nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! " + SINK,
        ),
        (
            "csi://1",
            JETSON,
            CameraOptions(1920, 1080, 59.94),
            "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=1920, height=1080, "
            "framerate=59940/1000 ! nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! " + SINK,
        ),
        (
            "csi://0",
            RASPBERRY_PI,
            CameraOptions(640, 480, 15),
            "libcamerasrc ! video/x-raw, format=NV12, width=640, height=480, framerate=15/1 ! "
            "videoconvert ! " + SINK,
        ),
        (
            "csi:///base/axi/pcie@120000/rp1/i2c@88000/imx708@1a",
            RASPBERRY_PI,
            CameraOptions(),
            "libcamerasrc camera-name=/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a ! "
            "video/x-raw, format=NV12, width=1280, height=720, framerate=30/1 ! "
            "videoconvert ! " + SINK,
        ),
    ],
)
def test_pipelines(url: str, board: str, options: CameraOptions, text: str) -> None:
    assert pipeline(url, board, options) == text


@pytest.mark.parametrize(
    ("url", "board", "said"),
    [
        ("csi://", JETSON, "give csi://0, csi://1"),
        ("csi://left", JETSON, "give csi://0, csi://1"),
        ("csi:///base/cam", JETSON, "give csi://0, csi://1"),
        ("csi://1", RASPBERRY_PI, "give csi://0 for the first, or csi:// and the name"),
        ("csi://1234", JETSON, "no such camera"),
        ("csi://²", JETSON, "no such camera"),
        ("csi:///base/cam ! filesink location=x", OTHER, "no such camera"),
    ],
)
def test_other_forms_are_errors(url: str, board: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        pipeline(url, board, CameraOptions())


@given(st.text(max_size=40), st.sampled_from([JETSON, RASPBERRY_PI, PC, OTHER]))
def test_nothing_gets_into_a_pipeline_that_is_no_name(name: str, board: str) -> None:
    try:
        text = pipeline(f"csi://{name}", board, CameraOptions())
    except BadInput:
        return
    assert text.count("!") == pipeline("csi://0", board, CameraOptions()).count("!")
    assert name.isdecimal() or f"camera-name={name} ! " in text


@pytest.mark.parametrize(
    ("board", "hint"),
    [
        (JETSON, "apt install python3-opencv"),
        (RASPBERRY_PI, r"rpicam-vid -t 0 --codec mjpeg -o - \| edge-passd run --source -"),
    ],
)
def test_without_gstreamer_the_error_shows_the_pipeline_and_what_to_install(
    board: str, hint: str
) -> None:
    with pytest.raises(BadInput, match=hint) as error:
        open_csi("csi://0", capture_of=lambda _: Ribbon(), board=board, build_information=WITHOUT)
    assert f"OpenCV {cv2.__version__} here is built without GStreamer" in str(error.value)
    assert f"`{pipeline('csi://0', board, CameraOptions())}`" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("board", "hint"),
    [(JETSON, "nvargus-daemon"), (RASPBERRY_PI, "gstreamer1.0-libcamera")],
)
def test_a_pipeline_that_does_not_start_is_shown(board: str, hint: str) -> None:
    with pytest.raises(BadInput, match=hint) as error:
        open_csi("csi://0", None, print, lambda _: Ribbon(False), board, WITH)
    assert "has GStreamer, but the pipeline does not start" in str(error.value)
    assert f"`{pipeline('csi://0', board, CameraOptions())}`" in str(error.value)


def test_a_camera_that_opens() -> None:
    asked: list[str] = []
    with open_csi(
        "csi://0", None, print, lambda text: asked.append(text) or Ribbon(), JETSON, WITH
    ) as camera:
        frame = next(iter(camera))
    assert frame.source == "csi://0"
    assert frame.image.shape == (4, 6, 3)
    assert asked == [pipeline("csi://0", JETSON, CameraOptions())]


@pytest.mark.skipif(has_gstreamer(cv2.getBuildInformation()), reason="OpenCV has GStreamer")
def test_as_it_is_on_this_machine() -> None:
    with pytest.raises(BadInput, match="without GStreamer"):
        open_source("csi://0")


@pytest.mark.parametrize(("text", "has"), [(WITH, True), (WITHOUT, False), ("", False)])
def test_what_opencv_says_of_gstreamer(text: str, has: bool) -> None:
    assert has_gstreamer(text) == has


@pytest.mark.parametrize("options", [CameraOptions(320, 240), CameraOptions(640, 480, 59.94)])
def test_gstreamer_itself_takes_the_part_of_a_pipeline_that_needs_no_camera(
    options: CameraOptions,
) -> None:
    program = require_program("gst-launch-1.0")
    text = pipeline("csi://0", RASPBERRY_PI, options).replace(
        "libcamerasrc", "videotestsrc num-buffers=3"
    )
    text += " wait-on-eos=false"  # nobody takes the frames
    result = subprocess.run(
        [program, "-q", *text.split()], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
