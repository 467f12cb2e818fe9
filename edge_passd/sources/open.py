"""From what the user named to a source: photo, folder, pattern, video, URL or camera."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Callable
from pathlib import Path

import cv2

from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.photo import SUFFIXES
from edge_passd.sources.camera import DEVICE, open_camera
from edge_passd.sources.csi import SCHEME, open_csi
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.photos import Photo, Photos
from edge_passd.sources.source import Source
from edge_passd.sources.stdin import STDIN, open_stdin
from edge_passd.sources.stream import open_stream
from edge_passd.sources.video import Video

__all__ = ["open_camera", "open_source", "open_video"]

_log = logging.getLogger(__name__)


def open_source(
    source: str,
    report: Callable[[str], object] = _log.warning,
    camera_options: CameraOptions | None = None,
) -> Source:
    """A photo, a folder of photos, a pattern of photos, a video file, a URL, a camera's device,
    `csi://0` for a camera on the board's connector, or "-" for pictures on standard input.

    report: takes one line for each photo of many that cannot be read, and for each time that a live
    source is lost or back. camera_options: for live sources and pictures on standard input.
    Raises BadInput for anything that is missing, empty or cannot be opened.
    """
    if source == STDIN:
        return open_stdin(camera_options, report)
    if source.startswith(SCHEME):
        return open_csi(source, camera_options, report)
    if "://" in source:
        return open_stream(source, camera_options, report)
    if source.startswith(DEVICE) and source.removeprefix(DEVICE).isdigit():
        return open_camera(int(source.removeprefix(DEVICE)), camera_options, report)
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


def _photos(name: str, paths: list[Path], root: Path, report: Callable[[str], object]) -> Photos:
    photos = [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not photos:
        raise BadInput(f"{name}: no photos there ({', '.join(SUFFIXES)})")
    return Photos(name, photos, root.absolute(), report)
