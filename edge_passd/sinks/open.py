"""From what the user asked for to sinks, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.files import require_writable
from edge_passd.photo import SUFFIXES
from edge_passd.sinks.json_lines import STDOUT, json_lines
from edge_passd.sinks.mqtt import mqtt
from edge_passd.sinks.part_file import left_over
from edge_passd.sinks.pictures import picture_file, picture_folder
from edge_passd.sinks.rotated import DEFAULT_BYTES, DEFAULT_KEEP, rotated_lines
from edge_passd.sinks.sink import Sink
from edge_passd.sinks.video import video_file
from edge_passd.sinks.webhook import webhook
from edge_passd.sinks.window import require_display, window
from edge_passd.sources.photos import Photo, Photos
from edge_passd.sources.source import FALLBACK_FPS, Source

VIDEO_SUFFIX = ".mp4"

Report = Callable[[str], object]


@dataclass(frozen=True)
class SinkOptions:
    """Where results go, each where it is not None.

    save: a picture for a photo, a folder for many, an .mp4 for the rest. json: a file, or "-".
    json_rotate: start the file anew at so many bytes; a camera's file is always rotated.
    json_keep: how many of the old ones stay. mqtt, webhook: URLs.
    """

    save: Path | None = None
    json: str | None = None
    json_rotate: int | None = None
    json_keep: int | None = None
    mqtt: str | None = None
    webhook: str | None = None


def open_sinks(source: Source, options: SinkOptions, report: Report) -> list[Sink]:
    """Sinks for the results of `source`, not entered yet.

    report: takes a line for each problem that does not end the run.
    Raises BadInput for a target that does not fit the source or would overwrite it, or a bad URL.
    """
    sinks: list[Sink] = []
    if options.save is not None:
        sinks.append(_saving(source, options.save, report))
    if options.json is not None:
        sinks.append(_lines(source, options.json, options))
    elif options.json_rotate is not None or options.json_keep is not None:
        raise BadInput("--json-rotate and --json-keep are for a file; give --json FILE too")
    if options.mqtt is not None:
        sinks.append(mqtt(options.mqtt, report))
    if options.webhook is not None:
        sinks.append(webhook(options.webhook, report))
    return sinks


def free_name(source: Source, save: Path | None, report: Report) -> Path | None:
    """`save`, or for a live source the first of NAME-2.mp4, ... if there is a file of that name.

    Its film cannot be made again, and a service that starts anew would write over it.
    """
    if save is None or not source.live or not save.is_file():
        return save
    names = (save.with_name(f"{save.stem}-{number}{save.suffix}") for number in count(2))
    free = next(name for name in names if not name.exists())
    report(f"{save} is there already and stays; this film becomes {free}")
    return free


def open_window(source: Source) -> Sink:
    """A window for the results of `source`; BadInput without a display."""
    require_display()
    return window(wait=isinstance(source, (Photo, Photos)))


def _lines(source: Source, target: str, options: SinkOptions) -> Sink:
    path = Path(target)
    asked = options.json_rotate is not None or options.json_keep is not None
    if target == STDOUT or _is_special(path):
        if asked:
            raise BadInput(f"--json {target}: only a file can be rotated; name one")
        return json_lines(target)
    _protect(source, path)
    if not (source.live or asked):
        return json_lines(target)
    limit = DEFAULT_BYTES if options.json_rotate is None else options.json_rotate
    keep = DEFAULT_KEEP if options.json_keep is None else options.json_keep
    return rotated_lines(path, limit, keep)


def _saving(source: Source, save: Path, report: Report) -> Sink:
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
    if part := left_over(save):
        report(f"{part} is the film of a run that was killed or still goes on; it plays and stays")
    return video_file(save, source.fps or FALLBACK_FPS, source.live)


def _protect(source: Source, target: Path) -> None:
    if target.resolve() in source.files:
        raise BadInput(f"{target} is read from; save the result elsewhere")
    if not _is_special(target):
        require_writable(target)


def _is_special(target: Path) -> bool:
    """A pipe or a device: written to as it is, never replaced."""
    return target.exists() and not target.is_file() and not target.is_dir()
