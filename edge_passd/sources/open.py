"""From what the user named to a source: photo, folder, pattern, video, URL or camera."""

from __future__ import annotations

import glob
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import cv2

from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.photo import SUFFIXES
from edge_passd.sources.live import TIMEOUT_S, Live
from edge_passd.sources.photos import Photo, Photos
from edge_passd.sources.source import Capture, Source, frame_count
from edge_passd.sources.video import Video

_log = logging.getLogger(__name__)

_DEVICE = "/dev/video"


def open_source(source: str, report: Callable[[str], object] = _log.warning) -> Source:
    """A photo, a folder of photos, a pattern of photos, a video file, a URL or a camera's device.

    report: takes one line for each photo of many that cannot be read.
    Raises BadInput for anything that is missing, empty or cannot be opened.
    """
    if "://" in source:
        return open_stream(source)
    if source.startswith(_DEVICE) and source.removeprefix(_DEVICE).isdigit():
        return open_camera(int(source.removeprefix(_DEVICE)))
    path = Path(source)
    if path.is_dir():
        return _photos(source, sorted(path.iterdir()), path, report)
    if glob.has_magic(source) and not path.exists():
        found = sorted(Path(match) for match in glob.glob(source, recursive=True))
        if not found:
            raise BadInput(f"no file matches {source}")
        root = Path(os.path.commonpath([match.parent.absolute() for match in found]))
        return _photos(source, found, root, report)
    if source.isdigit() and not path.exists():
        raise BadInput(f"no such file: {source}; for a camera give --camera {source}")
    require_file(path, "a photo or video")
    return Photo(path) if path.suffix.lower() in SUFFIXES else open_video(path)


def open_video(path: Path) -> Video:
    """A video file; BadInput if OpenCV cannot open it."""
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise BadInput(f"{path}: neither a photo nor a video that can be read; is it complete?")
    return Video(capture, str(path), path)


def open_stream(url: str, capture: Capture | None = None) -> Source:
    """A network stream: a recording is read frame by frame, a live one for its newest frame.

    capture: for tests, in place of OpenCV's. Raises BadInput if nothing answers.
    """
    name = _without_credentials(url)
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(TIMEOUT_S * 1000)]
    capture = capture or cv2.VideoCapture(url, cv2.CAP_ANY, patience)
    if not capture.isOpened():
        raise BadInput(f"cannot open the stream {name}; is the address right and the sender on?")
    return Video(capture, name) if frame_count(capture) else Live(capture, name)


def open_camera(
    index: int, capture: Capture | None = None, devices: tuple[str, ...] | None = None
) -> Live:
    """Camera `index`; BadInput if there is none or it cannot be opened.

    capture, devices: for tests, in place of OpenCV's and those of this machine.
    """
    device = f"{_DEVICE}{index}"
    if sys.platform == "linux" or devices is not None:
        devices = tuple(sorted(glob.glob(f"{_DEVICE}*"))) if devices is None else devices
        if device not in devices:
            there = f"there are {', '.join(devices)}" if devices else f"there is no {_DEVICE}*"
            raise BadInput(f"no camera {index}: {there}; is it plugged in?")
    capture = capture or cv2.VideoCapture(index)
    if not capture.isOpened():
        raise BadInput(
            f"cannot open camera {index}; does another program use it, "
            f"or may this user not read {device}?"
        )
    return Live(capture, f"camera:{index}")


def _photos(name: str, paths: list[Path], root: Path, report: Callable[[str], object]) -> Photos:
    photos = [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not photos:
        raise BadInput(f"{name}: no photos there ({', '.join(SUFFIXES)})")
    return Photos(name, photos, root.absolute(), report)


def _without_credentials(url: str) -> str:
    """A stream's password belongs neither on the screen nor in a result."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
