"""Live progress that does not disturb what is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from edge_passd.bench.measure import Clock
from edge_passd.bench.protocol import Tell

Step = Callable[[str], Tell]

_EVERY_S = 0.5


@contextmanager
def progress(console: Console, clock: Clock = time.perf_counter) -> Iterator[Step]:
    """Yield a function that starts a step by its name and returns what takes the step's share.

    It draws only when it is told of progress, so between detections: a drawing thread, as is usual,
    would take a core away from them. Nothing is shown but on a terminal.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        auto_refresh=False,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=1.0)
        drawn = clock()

        def step(name: str) -> Tell:
            bar.update(task, description=name, completed=0.0, refresh=True)
            return tell

        def tell(share: float) -> None:
            nonlocal drawn
            if clock() - drawn >= _EVERY_S:
                bar.update(task, completed=share, refresh=True)
                drawn = clock()

        yield step


@contextmanager
def progress_lines(console: Console, clock: Clock = time.perf_counter) -> Iterator[Step]:
    """As `progress`, for another program: a line of JSON with step and share, 0-1 or null."""
    written = clock()

    def step(name: str) -> Tell:
        def write(share: float | None) -> None:
            nonlocal written
            console.out(json.dumps({"step": name, "share": share}), highlight=False)
            written = clock()

        write(None)
        return lambda share: write(share) if clock() - written >= _EVERY_S else None

    yield step
