"""OpenCV's builds, by what they say of themselves."""

from __future__ import annotations

import pytest

from edge_passd.board.identity import JETSON, PC
from edge_passd.doctor.child import Outcome
from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL
from edge_passd.doctor.opencv import check_opencv, opencv_findings
from tests.doctor.conftest import by_name

WHEEL = """
  GUI:                           QT5
    QT:                          YES (ver 5.15.19 )
  Video I/O:
    FFMPEG:                      YES
      avcodec:                   YES (62.11.100)
    GStreamer:                   NO
    v4l/v4l2:                    YES (linux/videodev2.h)
"""
JETPACK = """
  GUI:                           GTK3
    GTK+:                        YES (ver 3.24.20)
  Video I/O:
    FFMPEG:                      YES
    GStreamer:                   YES (1.16.3)
    v4l/v4l2:                    YES (linux/videodev2.h)
"""
BARE = """
  GUI:                           NONE
  Video I/O:
    FFMPEG:                      NO
    GStreamer:                   NO
"""
SEEN = {"DISPLAY": ":0"}


@pytest.mark.parametrize(
    ("text", "kind", "environment", "states"),
    [
        (WHEEL, PC, SEEN, {"GStreamer": OPTIONAL, "V4L2": OK, "FFmpeg": OK, "windows": OK}),
        (WHEEL, PC, {"WAYLAND_DISPLAY": "wayland-0"}, {"windows": OK}),
        (WHEEL, PC, {}, {"windows": OPTIONAL}),
        (WHEEL, JETSON, SEEN, {"GStreamer": MISSING}),
        (JETPACK, JETSON, SEEN, {"GStreamer": OK, "windows": OK}),
        (BARE, PC, SEEN, {"GStreamer": OPTIONAL, "V4L2": MISSING, "FFmpeg": MISSING,
                          "windows": OPTIONAL}),
        ("", PC, SEEN, {"OpenCV": OK, "GStreamer": OPTIONAL, "windows": OPTIONAL}),
    ],
)  # fmt: skip
def test_parts_of_a_build(
    text: str, kind: str, environment: dict[str, str], states: dict[str, str]
) -> None:
    outcome = Outcome(("4.10.0", "/usr/lib/cv2", text))
    found = by_name(opencv_findings(outcome, kind, environment))
    assert {name: found[name].state for name in states} == states
    for each in found.values():
        assert each.state == OK or each.cure


def test_one_that_does_not_load() -> None:
    problem = "libGL.so.1: cannot open shared object file: No such file or directory"
    (found,) = opencv_findings(Outcome(None, problem), PC, SEEN)
    assert (found.state, found.found) == (BROKEN, problem)
    assert "headless" in found.cure


def test_this_machine_s() -> None:
    found = by_name(check_opencv(PC))
    assert {"OpenCV", "GStreamer", "V4L2", "FFmpeg", "windows"} == found.keys()
    assert found["OpenCV"].state == OK
