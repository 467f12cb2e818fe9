"""Cameras by number, with captures in place of drivers: there is no camera on a test machine."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from edge_passd.errors import BadInput
from edge_passd.sources.camera import four_letters, open_camera
from edge_passd.sources.options import CameraOptions

PATIENCE_S = 10.0
WIDTH, HEIGHT = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
FPS, FOURCC = cv2.CAP_PROP_FPS, cv2.CAP_PROP_FOURCC
YUYV, MJPG = cv2.VideoWriter.fourcc(*"YUYV"), cv2.VideoWriter.fourcc(*"MJPG")
DEVICES = ("/dev/video0", "/dev/video2")


class Driver:
    """A camera that can do some things and not others, as drivers do without a word.

    can: what each property may become, its present value first.
    """

    def __init__(self, can: dict[int, tuple[float, ...]], opens: bool = True) -> None:
        self.asked: list[tuple[int, float]] = []
        self.is_released = threading.Event()
        self._can, self._opens = can, opens
        self._now = {prop: values[0] for prop, values in can.items()}

    def isOpened(self) -> bool:
        return self._opens

    def set(self, propId: int, value: float) -> bool:
        self.asked.append((propId, value))
        if value in self._can.get(propId, ()):
            self._now[propId] = value
        return True

    def get(self, propId: int) -> float:
        return self._now.get(propId, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        size = int(self._now.get(HEIGHT, 2)), int(self._now.get(WIDTH, 2))
        return True, np.zeros((*size, 3), np.uint8)

    def release(self) -> None:
        self.is_released.set()


def webcam() -> Driver:
    return Driver({WIDTH: (640, 1280), HEIGHT: (480, 720), FPS: (30, 15), FOURCC: (YUYV, MJPG)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (CameraOptions(), None),
        (CameraOptions(1280, 720, 15, mjpg=True), None),
        (CameraOptions(width=1280, height=720), None),
        (CameraOptions(fps=29.97), None),
        (CameraOptions(1920, 1080), "asked for 1920x1080, the camera gives 640x480"),
        (CameraOptions(width=1280, height=1024), "asked for 1280x1024, the camera gives 1280x480"),
        (CameraOptions(fps=60), "asked for 60 fps, the camera gives 30 fps"),
        (
            CameraOptions(1920, 1080, 60),
            "asked for 1920x1080 60 fps, the camera gives 640x480 30 fps",
        ),
    ],
)
def test_it_is_said_what_a_camera_does_not_give(options: CameraOptions, said: str | None) -> None:
    reports: list[str] = []
    camera = webcam()
    with open_camera(0, options, reports.append, lambda _: camera, lambda: DEVICES):
        assert reports == ([f"camera:0: {said}"] if said else [])
    assert camera.is_released.wait(PATIENCE_S)


def test_a_camera_without_mjpg_and_one_that_tells_nothing() -> None:
    reports: list[str] = []
    asked = CameraOptions(mjpg=True)
    raw = Driver({WIDTH: (640,), HEIGHT: (480,), FPS: (30,), FOURCC: (YUYV,)})
    open_camera(0, asked, reports.append, lambda _: raw, lambda: DEVICES).close()
    silent = Driver({})
    open_camera(0, asked, reports.append, lambda _: silent, lambda: DEVICES).close()
    assert reports == ["camera:0: asked for MJPG, the camera gives YUYV"]


def test_the_format_is_asked_for_before_what_hangs_on_it() -> None:
    camera = webcam()
    wish = CameraOptions(1280, 720, 15, mjpg=True)
    open_camera(0, wish, print, lambda _: camera, lambda: DEVICES).close()
    assert camera.asked[0] == (FOURCC, MJPG)
    assert sorted(camera.asked[1:]) == sorted([(WIDTH, 1280), (HEIGHT, 720), (FPS, 15)])
    untouched = webcam()
    open_camera(0, None, print, lambda _: untouched, lambda: DEVICES).close()
    assert untouched.asked == []


def test_frames_have_the_size_that_was_asked_for() -> None:
    wish = CameraOptions(1280, 720)
    with open_camera(2, wish, print, lambda _: webcam(), lambda: DEVICES) as camera:
        frame = next(iter(camera))
    assert frame.image.shape == (720, 1280, 3)
    assert (frame.source, camera.fps, camera.live) == ("camera:2", 30, True)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (DEVICES, "no camera 3: there are /dev/video0, /dev/video2; is it plugged in?"),
        ((), r"no camera 3: there is no /dev/video\*; is it plugged in?"),
    ],
)
def test_a_missing_camera_lists_those_there(devices: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_camera(3, None, print, lambda _: webcam(), lambda: devices)


def test_a_camera_that_cannot_be_opened_or_never_opens() -> None:
    closed = Driver({}, opens=False)
    with pytest.raises(BadInput, match="cannot open camera 0; does another program use it"):
        open_camera(0, None, print, lambda _: closed, lambda: DEVICES)
    go = threading.Event()
    late = webcam()

    def hang(_: int) -> Driver:
        go.wait(PATIENCE_S)
        return late

    with pytest.raises(BadInput, match=r"camera 0 does not open within 0\.05 s"):
        open_camera(0, CameraOptions(timeout_s=0.05), print, hang, lambda: DEVICES)
    go.set()
    assert late.is_released.wait(PATIENCE_S)


@pytest.mark.usefixtures("quick")
def test_an_unplugged_camera_is_configured_again_when_it_is_back() -> None:
    class Unpluggable(Driver):
        is_there = True

        def read(self) -> tuple[bool, np.ndarray | None]:
            return super().read() if self.is_there else (False, None)

    can = {WIDTH: (640.0, 1280.0), HEIGHT: (480.0, 720.0)}
    cameras: list[Unpluggable] = []
    looks = []

    def plug_in(_: int) -> Unpluggable:
        cameras.append(Unpluggable(can))
        return cameras[-1]

    def devices() -> tuple[str, ...]:
        looks.append(None)  # at the start, then twice in vain
        return () if len(looks) in (2, 3) else DEVICES

    reports: list[str] = []
    wish = CameraOptions(1280, 720)
    with open_camera(0, wish, reports.append, plug_in, devices) as source:
        frames = iter(source)
        next(frames)
        cameras[0].is_there = False
        while source.state().reconnects == 0:
            frame = next(frames)
    assert frame.image.shape == (720, 1280, 3)
    assert len(looks) == 4
    assert len(cameras) == 2
    assert cameras[0].is_released.is_set()
    assert [report.rpartition(" after ")[0] or report for report in reports] == [
        "camera:0: it was unplugged or it ended; trying again until it is back",
        "camera:0: back",
    ]


@pytest.mark.parametrize(
    ("code", "name"), [(MJPG, "MJPG"), (YUYV, "YUYV"), (0x00000001, "format 0x1")]
)
def test_names_of_formats(code: int, name: str) -> None:
    assert four_letters(code) == name
