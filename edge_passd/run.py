"""`edge-passd run`: frames from a source, through a detector, into sinks."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_passd.detector import Detector
from edge_passd.engines.table import AUTO
from edge_passd.files import require_file
from edge_passd.perception import Perception
from edge_passd.pipeline.pump import Limits, Tally, pump
from edge_passd.pipeline.watchdog import Watchdog
from edge_passd.sinks.json_lines import STDOUT
from edge_passd.sinks.open import SinkOptions, free_name, open_sinks, open_window
from edge_passd.sinks.sink import Sink
from edge_passd.sources.open import open_camera, open_source
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.photos import Photo
from edge_passd.sources.source import Source
from edge_passd.terminal import Terminal, complain

TOKEN = "EDGE_PASSD_TOKEN"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class RunOptions:
    """What the user asked for.

    source: photo, folder, pattern, video, URL or "-"; or else camera: its number.
    model: None is the model that ships with the package. engine to allow_saturation: as in
    `Detector`. classes: names to keep, empty for all.
    conf: least score to keep. track: give what is seen an id; lines, zones: NAME:x,y,... where it
    is counted. show: a window. serve: the port of a page, host: its address, token_file: what
    viewers must know stands in it, or in the environment variable EDGE_PASSD_TOKEN.
    limits: max_frames, duration (s) and max_fps, see `pump.Limits`. sinks: the other outputs.
    """

    source: str = ""
    camera: int | None = None
    camera_options: CameraOptions = field(default_factory=CameraOptions)
    model: Path | None = None
    engine: str = AUTO
    threads: int | None = None
    soft_nms: bool = False
    allow_saturation: bool = False
    conf: float = 0.4
    classes: tuple[str, ...] = ()
    track: bool = False
    lines: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    save: Path | None = None
    json: str | None = None
    json_rotate: int | None = None
    json_keep: int | None = None
    mqtt: str | None = None
    webhook: str | None = None
    show: bool = False
    serve: int | None = None
    host: str = LOOPBACK
    token_file: Path | None = None
    max_frames: int | None = None
    duration: float | None = None
    max_fps: float | None = None

    @property
    def sinks(self) -> SinkOptions:
        return SinkOptions(
            self.save, self.json, self.json_rotate, self.json_keep, self.mqtt, self.webhook
        )

    @property
    def limits(self) -> Limits:
        return Limits(self.max_frames, self.duration, self.max_fps)


def run(options: RunOptions) -> Tally:
    """Detect in every frame, hand the results to the sinks, tell the terminal about it.

    A run that breaks off (Ctrl-C, an unplugged camera, a video cut short) completes the outputs
    for the frames it has seen, then raises. Raises KeyboardInterrupt, BadInput for anything wrong
    with the input, OSError where an output cannot be written.
    """
    terminal = Terminal(quiet_stdout=options.json == STDOUT)
    with ExitStack() as stack:
        source = stack.enter_context(_open(options))
        options = replace(options, save=free_name(source, options.save, complain))
        sinks = open_sinks(source, options.sinks, complain)
        windows = [open_window(source)] if options.show else []
        detector = Detector(
            options.model, options.engine, options.threads, options.soft_nms,
            options.allow_saturation,
        )  # fmt: skip
        process = Perception(
            detector, options.conf, options.classes, options.track, options.lines, options.zones
        )
        if options.serve is not None:
            page, address = _page(options, options.serve, source, detector)
            sinks.append(page)
        outputs = [stack.enter_context(sink) for sink in sinks]
        if options.serve is not None:
            terminal.say(f"live at {address}")
        shows = [stack.enter_context(window) for window in windows]
        if isinstance(source, Photo) and options.json != STDOUT:
            outputs.insert(0, terminal.detections)
        watchdog = stack.enter_context(Watchdog(complain))
        expected = [limit for limit in (source.length, options.max_frames) if limit is not None]
        with terminal.progress(source.name, min(expected, default=None)) as advance:
            tally, broken_off = pump(
                source, process, outputs, shows, options.limits, watchdog, advance
            )
        if broken_off and not tally.frames:
            raise broken_off  # from within the sinks, so that no empty output appears
    terminal.say(_summary(tally, detector, options))
    if broken_off:
        raise broken_off
    return tally


def _open(options: RunOptions) -> Source:
    if options.camera is not None:
        return open_camera(options.camera, options.camera_options, complain)
    return open_source(options.source, complain, options.camera_options)


def _page(options: RunOptions, port: int, source: Source, detector: Detector) -> tuple[Sink, str]:
    """The live view, and where to look; with a new token where one is needed and none is given."""
    from edge_passd.serve import ServeOptions, is_loopback, live_view, new_token

    given = _token(options)
    token = given if given or is_loopback(options.host) else new_token()
    about = {
        "model": detector.info.name,
        "engine": detector.engine,
        "precision": detector.info.precision,
        "classes": detector.classes,
        "source": source.name,
    }
    serve = ServeOptions(port, options.host, token)
    entry = "" if token == given else f"?token={token}"
    return live_view(serve, about, source.state), serve.url + entry


def _token(options: RunOptions) -> str | None:
    if options.token_file is None:
        return os.environ.get(TOKEN) or None
    require_file(options.token_file, "a file that holds the token")
    return options.token_file.read_text(encoding="utf-8", errors="replace").strip()


def _summary(tally: Tally, detector: Detector, options: RunOptions) -> str:
    parts = [_count(tally.frames, "frame"), _count(tally.detections, "detection")]
    if tally.frames > 1:  # the time of a single frame is mostly the first use of everything
        parts.append(f"{tally.frames / tally.seconds:.1f} fps on {detector.engine}")
    if tally.latency_s is not None:
        parts.append(f"{1000 * tally.latency_s:.0f} ms from capture to boxes")
    saved = [str(path) for path in (options.save, options.json) if path and path != STDOUT]
    return ", ".join(parts) + (f"; saved {' and '.join(saved)}" if saved else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
