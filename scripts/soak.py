"""Whether a run can go on for a week: memory, threads and open files over frames and reconnects.

    .venv/bin/python scripts/soak.py
    .venv/bin/python scripts/soak.py --frames 100000 --reconnects 200 --model animals.passd

A made-up camera is lost and comes back; its frames go through a detector that costs nothing (or a
real one, --model) into a film, rotated JSON lines and a webhook that nobody answers. Prints a table
and ends with status 1 if memory grows by more than --growth megabytes after the first fifth, or a
thread or a file is left.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from edge_passd.detections import Detections
from edge_passd.detector import Detector
from edge_passd.perception import Perception
from edge_passd.pipeline.pump import Limits, pump
from edge_passd.pipeline.watchdog import Watchdog
from edge_passd.sinks.open import SinkOptions, open_sinks
from edge_passd.sinks.sink import Result
from edge_passd.sources import live
from edge_passd.sources.live import Live
from edge_passd.sources.source import Frame

ROWS = 10
_NOBODY = "http://127.0.0.1:9/"  # the port "discard", which nobody listens to any more
_PICTURE = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
_FOUND = Detections(
    np.array([[40, 30, 120, 150]], np.float32), np.array([0.9], np.float32),
    np.array([0]), ("dog",),
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """What the process holds at a moment. rss_mb: resident memory, megabytes."""

    frames: int
    reconnects: int
    rss_mb: float
    threads: int
    files: int


class Camera:
    """Sends 500 frames a second and is lost when `is_lost` says so."""

    def __init__(self, is_lost: Callable[[], bool]) -> None:
        self._is_lost = is_lost

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.002)
        return (False, None) if self._is_lost() else (True, _PICTURE.copy())

    def get(self, propId: int) -> float:
        return 0.0

    def release(self) -> None: ...


def soak(
    folder: Path,
    frames: int,
    reconnects: int,
    process: Callable[[Frame], Result],
    tell: Callable[[Sample], object] = lambda sample: None,
) -> list[Sample]:
    """Run, and look at the process `ROWS` times; `tell` takes each look at once."""
    samples: list[Sample] = []
    done = lives = 0

    def look() -> None:
        samples.append(Sample(done, source.state().reconnects, *holdings()))
        tell(samples[-1])

    def advance() -> None:
        nonlocal done
        done += 1
        if done % max(1, frames // ROWS) == 0:
            look()

    def camera() -> Camera:
        nonlocal lives
        lives += 1
        end = frames * lives // (reconnects + 1) if lives <= reconnects else frames + 1
        return Camera(lambda: done >= end)

    def ignore(line: str) -> None: ...

    options = SinkOptions(
        save=folder / "film.mp4", json=str(folder / "found.jsonl"), json_rotate=100_000,
        json_keep=2, webhook=_NOBODY,
    )  # fmt: skip
    with ExitStack() as stack:
        source = stack.enter_context(Live(camera(), "camera:0", 10.0, camera, None, ignore))
        sinks = open_sinks(source, options, ignore)
        outputs = [stack.enter_context(sink) for sink in sinks]
        watchdog = stack.enter_context(Watchdog(ignore))
        _, broken_off = pump(
            source, process, outputs, [], Limits(max_frames=frames), watchdog, advance
        )
    if broken_off:
        raise broken_off
    look()
    return samples


def holdings() -> tuple[float, int, int]:
    """Resident memory in megabytes, threads, and open files of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    rss_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return rss_mb, threading.active_count(), len(os.listdir("/proc/self/fd"))


def made_up(frame: Frame) -> Result:
    """A detector that costs nothing."""
    arrived = frame.captured_s
    return Result(frame, _FOUND, 0.0, None if arrived is None else time.monotonic() - arrived)


@click.command()
@click.option("--frames", type=click.IntRange(min=ROWS), default=10_000, show_default=True)
@click.option("--reconnects", type=click.IntRange(min=0), default=20, show_default=True)
@click.option("--model", type=click.Path(path_type=Path), help="A real detector.")
@click.option("--growth", type=float, default=10.0, show_default=True, metavar="MB")
def main(frames: int, reconnects: int, model: Path | None, growth: float) -> None:
    """Run a made-up camera for a while and print what the process holds."""
    # The back-off of a week is not what is tried here.
    live.FIRST_DELAY_S = live.LONGEST_DELAY_S = 0.05
    process = Perception(Detector(model), track=True) if model else made_up
    before = holdings()
    print(f"{'frames':>8} {'reconnects':>10} {'RSS MB':>8} {'threads':>8} {'files':>6}")

    def tell(sample: Sample) -> None:
        print(
            f"{sample.frames:8} {sample.reconnects:10} {sample.rss_mb:8.1f} "
            f"{sample.threads:8} {sample.files:6}",
            flush=True,
        )

    with TemporaryDirectory() as folder:
        samples = soak(Path(folder), frames, reconnects, process, tell)
    settled = samples[ROWS // 5 - 1 : -1]
    grown = max(sample.rss_mb for sample in settled) - settled[0].rss_mb
    left = samples[-1].threads - before[1], samples[-1].files - before[2]
    print(f"grown by {grown:.1f} MB; left behind: {left[0]} threads, {left[1]} files")
    if grown > growth or max(left) > 0 or samples[-1].reconnects != reconnects:
        sys.exit(1)


if __name__ == "__main__":
    main()
