"""OpenCV, and what this build of it can open and show."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping

from edge_passd.board.identity import JETSON
from edge_passd.doctor.child import Outcome, call
from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL, Finding

LIMIT_S = 20.0

_HEADLESS = ("NONE", "NO", "")
_YES = "YES"
_VALUE = r"^ *{} *: *(.*?) *$"


def check_opencv(kind: str) -> Iterator[Finding]:
    """kind: of the board."""
    yield from opencv_findings(call(build, limit_s=LIMIT_S), kind, os.environ)


def build() -> tuple[str, str, str]:
    """Version, place and description of the build; for a child process."""
    import cv2

    return cv2.__version__, os.path.dirname(cv2.__file__), cv2.getBuildInformation()


def opencv_findings(
    outcome: Outcome, kind: str, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """outcome: of `build`. environment: of the process, which tells whether there is a display."""
    if outcome.problem:
        yield Finding(
            "OpenCV", BROKEN, outcome.problem,
            "pip uninstall opencv-python; pip install opencv-python-headless",
        )  # fmt: skip
        return
    version, place, text = outcome.value
    yield Finding("OpenCV", OK, f"{version} in {place}")
    if has(text, "GStreamer"):
        version = value(text, "GStreamer")[len(_YES) :].strip(" ()") or "in this build"
        yield Finding("GStreamer", OK, f"{version}, for csi:// and the board's decoders")
    else:
        yield Finding(
            "GStreamer", MISSING if kind == JETSON else OPTIONAL,
            "not in this build: no csi:// cameras",
            "sudo apt-get install python3-opencv; pip uninstall opencv-python",
        )  # fmt: skip
    yield _part(text, "v4l/v4l2", "V4L2", "--camera N")
    yield _part(text, "FFMPEG", "FFmpeg", "videos and rtsp://")
    yield _windows(text, environment)


def has(text: str, key: str) -> bool:
    """Whether a build's description says YES to one of its parts."""
    return value(text, key).upper().startswith(_YES)


def value(text: str, key: str) -> str:
    """What a build's description says of a part; "" if nothing."""
    match = re.search(_VALUE.format(re.escape(key)), text, re.MULTILINE)
    return match[1] if match else ""


def _part(text: str, key: str, name: str, use: str) -> Finding:
    if has(text, key):
        return Finding(name, OK, f"in this build, for {use}")
    return Finding(
        name, MISSING, f"not in this build: no {use}", "pip install --force-reinstall opencv-python"
    )


def _windows(text: str, environment: Mapping[str, str]) -> Finding:
    library = value(text, "GUI")
    if library.upper() in _HEADLESS:
        return Finding(
            "windows", OPTIONAL, "not in this build: no --show", "pip install opencv-python"
        )
    seen = (
        sys.platform != "linux" or environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    )
    if not seen:
        return Finding(
            "windows", OPTIONAL, f"{library}, but no display here: no --show",
            "ssh -X, or a browser: --serve PORT",
        )  # fmt: skip
    return Finding("windows", OK, f"{library}, for --show")
