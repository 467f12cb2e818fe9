"""A window that shows what the detector sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from edge_passd.errors import BadInput
from edge_passd.sinks.sink import Result, Write

_TITLE = "edge-passd"
_QUIT = (ord("q"), 27)  # and Esc
_NO_KEY = -1
_POLL_MS = 50
_MOST_PIXELS = (1280, 800)
_PROBE = "import cv2; cv2.namedWindow('edge-passd'); cv2.waitKey(1)"


def require_display() -> None:
    """Raise BadInput where no window can open."""
    advice = "leave out --show, or run it on a machine with a screen"
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise BadInput(f"no display to show a window on: {advice}")
    # A window toolkit that cannot reach its display ends the whole process, and a headless build
    # of OpenCV has none: a child process tries first.
    if subprocess.run([sys.executable, "-c", _PROBE], capture_output=True).returncode:
        raise BadInput(f"OpenCV cannot open a window on this display: {advice}")


@contextmanager
def window(wait: bool) -> Iterator[Write]:
    """Show each result; q or Esc, or closing the window, ends the run.

    wait: hold each picture until a key is pressed, as photos need.
    """

    is_open = False

    def write(result: Result) -> bool:
        nonlocal is_open
        if not is_open:
            _open(result.picture)
            is_open = True
        cv2.imshow(_TITLE, result.picture)
        key = cv2.waitKey(1)
        # In short waits: a long one would keep Ctrl-C from being heard.
        while wait and key == _NO_KEY and _is_visible():
            key = cv2.waitKey(_POLL_MS)
        return key not in _QUIT and _is_visible()

    try:
        yield write
    finally:
        cv2.destroyAllWindows()


def _open(picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    shrink = min(1.0, _MOST_PIXELS[0] / width, _MOST_PIXELS[1] / height)
    cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    cv2.resizeWindow(_TITLE, round(width * shrink), round(height * shrink))


def _is_visible() -> bool:
    return cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1
