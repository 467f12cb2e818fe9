"""Streams and recordings of the network, by FFmpeg: rtsp://, http://, ..."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import cv2

from edge_passd.errors import BadInput
from edge_passd.sources.live import Live
from edge_passd.sources.opening import open_within, opened
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.source import Capture, Source, frame_count
from edge_passd.sources.video import Video

_log = logging.getLogger(__name__)

# OpenCV takes options for FFmpeg from here and from nowhere else, at each opening, of files too: so
# nothing may stand in it that concerns more than RTSP. Without it RTSP runs over TCP.
_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_UDP = "rtsp_transport;udp"

# Each but the first delays what comes out by a frame; without a limit there is one for each core.
_DECODER_THREADS = 2

# FFmpeg's own timeouts come first, so that it ends in order.
_SLACK_S = 2.0

# Cameras take them as parameters too, in the query or the path; the value may hold anything else.
_SECRET = re.compile(
    r"(?<![a-z])((?:user|usr|login|pass|pwd|psw|token|key|auth|secret|sig)[a-z_]*=)[^&;#]*",
    re.IGNORECASE,
)


def open_stream(
    url: str,
    options: CameraOptions | None = None,
    report: Callable[[str], object] = _log.warning,
    capture_of: Callable[[str, CameraOptions], Capture] | None = None,
) -> Source:
    """A network stream: a recording is read frame by frame, a live one for its newest frame.

    A live one is opened again whenever it is lost. report: takes a line when it is lost and one
    when it is back. capture_of: for tests, in place of OpenCV's. Raises BadInput if nothing answers
    or `url` is none.
    """
    options, make = options or CameraOptions(), capture_of or _open
    name = without_credentials(url)
    _choose_transport(options.udp)
    capture = open_within(lambda: make(url, options), options.timeout_s + _SLACK_S)
    if capture is None or not capture.isOpened():
        raise BadInput(f"cannot open the stream {name}; is the address right and the sender on?")
    if frame_count(capture):
        return Video(capture, name)
    return Live(
        capture,
        name,
        options.timeout_s,
        lambda: opened(make(url, options)),
        options.give_up_s,
        report,
    )


def without_credentials(url: str) -> str:
    """A stream's password belongs neither on the screen nor in a result; BadInput if no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no address
        raise BadInput("the source is not a URL: its [ ] hold no IPv6 address") from None
    user, _, host = parts.netloc.rpartition("@")
    shown = urlunsplit(parts._replace(netloc=host))
    if not user and ":" in host and "@" in shown:  # a password with a / ? or # that is not quoted
        shown = f"{parts.scheme}://{shown.rpartition('@')[2]}"
    return _SECRET.sub(r"\1***", shown)


def _choose_transport(udp: bool) -> None:
    """Leaves alone what the user has set."""
    if udp:
        os.environ.setdefault(_VARIABLE, _UDP)
    elif os.environ.get(_VARIABLE) == _UDP:
        del os.environ[_VARIABLE]


def _open(url: str, options: CameraOptions) -> Capture:
    timeout_ms = round(options.timeout_s * 1000)
    parameters = {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: timeout_ms,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: timeout_ms,
        cv2.CAP_PROP_N_THREADS: _DECODER_THREADS,
    }
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, [x for pair in parameters.items() for x in pair])
