"""From what the user asked for to sinks, checked before anything runs."""

from __future__ import annotations

from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.files import require_writable
from edge_passd.photo import SUFFIXES
from edge_passd.sinks.json_lines import STDOUT, json_lines
from edge_passd.sinks.pictures import picture_file, picture_folder
from edge_passd.sinks.sink import Sink
from edge_passd.sinks.video import video_file
from edge_passd.sinks.window import require_display, window
from edge_passd.sources.photos import Photo, Photos
from edge_passd.sources.source import FALLBACK_FPS, Source

VIDEO_SUFFIX = ".mp4"


def open_sinks(source: Source, save: Path | None, json: str | None, show: bool) -> list[Sink]:
    """Sinks for the results of `source`, not entered yet.

    save: a picture for a photo, a folder for many, an .mp4 for the rest. json: a file, or "-".
    Raises BadInput for a target that does not fit the source or would overwrite it, or no display.
    """
    sinks: list[Sink] = []
    if save is not None:
        sinks.append(_saving(source, save))
    if json is not None:
        if json != STDOUT:
            _protect(source, Path(json))
        sinks.append(json_lines(json))
    if show:
        # Last, so that a photo held on the screen is saved already when Ctrl-C ends the wait.
        require_display()
        sinks.append(window(wait=isinstance(source, (Photo, Photos))))
    return sinks


def _saving(source: Source, save: Path) -> Sink:
    suffix = save.suffix.lower()
    if isinstance(source, Photos):
        if save.is_file() or suffix in (*SUFFIXES, VIDEO_SUFFIX):
            raise BadInput(f"{save}: many photos are saved in a folder; name one")
        for path in source.paths:
            _protect(source, save / path.absolute().relative_to(source.root))
        return picture_folder(save, source.root)
    if isinstance(source, Photo):
        if save.is_dir() or not suffix:
            save, suffix = save / source.path.name, source.path.suffix.lower()
        if suffix not in SUFFIXES:
            raise BadInput(f"{save}: a photo is saved as one of {', '.join(SUFFIXES)}")
        _protect(source, save)
        return picture_file(save)
    if suffix != VIDEO_SUFFIX:
        raise BadInput(f"{save}: a video is saved as {VIDEO_SUFFIX}; name such a file")
    _protect(source, save)
    return video_file(save, source.fps or FALLBACK_FPS, source.live)


def _protect(source: Source, target: Path) -> None:
    if target.resolve() in source.files:
        raise BadInput(f"{target} is read from; save the result elsewhere")
    if not _is_special(target):
        require_writable(target)


def _is_special(target: Path) -> bool:
    """A pipe or a device: written to as it is, never replaced."""
    return target.exists() and not target.is_file() and not target.is_dir()
