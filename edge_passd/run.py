"""`edge-passd run`: frames from a source, through a detector, into sinks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edge_passd.detections import class_labels
from edge_passd.detector import Detector
from edge_passd.engines.table import AUTO
from edge_passd.errors import BadInput
from edge_passd.sinks.json_lines import STDOUT
from edge_passd.sinks.open import open_sinks
from edge_passd.sinks.sink import Result, Write
from edge_passd.sources.open import open_camera, open_source
from edge_passd.sources.photos import Photo
from edge_passd.sources.source import Source
from edge_passd.terminal import Terminal, complain


@dataclass(frozen=True)
class RunOptions:
    """What the user asked for.

    source: photo, folder, pattern, video or URL; or else camera: its number.
    model: None is the model that ships with the package. classes: names to keep, empty for all.
    conf: least score to keep. json: a file, or "-" for standard output.
    """

    source: str = ""
    camera: int | None = None
    model: Path | None = None
    engine: str = AUTO
    threads: int | None = None
    soft_nms: bool = False
    conf: float = 0.4
    classes: tuple[str, ...] = ()
    save: Path | None = None
    json: str | None = None
    show: bool = False
    max_frames: int | None = None


@dataclass(frozen=True)
class Tally:
    """What a run did. seconds: from the wait for the first frame to the last result written."""

    frames: int
    detections: int
    seconds: float


def run(options: RunOptions) -> Tally:
    """Detect in every frame, hand the results to the sinks, tell the terminal about it.

    A run that breaks off (Ctrl-C, an unplugged camera, a video cut short) completes the outputs
    for the frames it has seen, then raises. Raises KeyboardInterrupt, BadInput for anything wrong
    with the input, OSError where an output cannot be written.
    """
    terminal = Terminal(quiet_stdout=options.json == STDOUT)
    with ExitStack() as stack:
        source = stack.enter_context(_open(options))
        sinks = open_sinks(source, options.save, options.json, options.show)
        detector = Detector(options.model, options.engine, options.threads, options.soft_nms)
        class_labels(options.classes, detector.classes)
        writes = [stack.enter_context(sink) for sink in sinks]
        if isinstance(source, Photo) and options.json != STDOUT:
            writes.insert(0, terminal.detections)
        tally, broken_off = _pump(source, detector, writes, options, terminal)
        if broken_off and not tally.frames:
            raise broken_off  # from within the sinks, so that no empty output appears
    terminal.say(_summary(tally, detector, options))
    if broken_off:
        raise broken_off
    return tally


def _open(options: RunOptions) -> Source:
    if options.camera is not None:
        return open_camera(options.camera)
    return open_source(options.source, complain)


def _pump(
    source: Source,
    detector: Detector,
    writes: Sequence[Write],
    options: RunOptions,
    terminal: Terminal,
) -> tuple[Tally, KeyboardInterrupt | BadInput | None]:
    """Run all frames through; what was done, and why it broke off if it did."""
    frames = found = 0
    seconds = 0.0
    broken_off: KeyboardInterrupt | BadInput | None = None
    limits = [limit for limit in (source.length, options.max_frames) if limit is not None]
    start = time.perf_counter()
    try:
        with terminal.progress(source.name, min(limits, default=None)) as advance:
            for frame in islice(source, options.max_frames):
                detections = detector.detect(frame.image)
                detections = detections.filter(options.conf, options.classes or None)
                frames, found = frames + 1, found + len(detections)
                result = Result(frame, detections)
                goes_on = [write(result) for write in writes]
                seconds = time.perf_counter() - start
                advance()
                if not all(goes_on):
                    break
        if verdict := source.verdict():
            broken_off = BadInput(verdict)
    except (KeyboardInterrupt, BadInput) as reason:
        broken_off = reason
    return Tally(frames, found, seconds), broken_off


def _summary(tally: Tally, detector: Detector, options: RunOptions) -> str:
    parts = [_count(tally.frames, "frame"), _count(tally.detections, "detection")]
    if tally.frames > 1:  # the time of a single frame is mostly the first use of everything
        parts.append(f"{tally.frames / tally.seconds:.1f} fps on {detector.engine}")
    saved = [str(path) for path in (options.save, options.json) if path and path != STDOUT]
    return ", ".join(parts) + (f"; saved {' and '.join(saved)}" if saved else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
