"""What a run says on the terminal: progress, a photo's detections, problems, the last line.

On a terminal it is rich; into a pipe or a log go a few plain lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from edge_passd.sinks.sink import Result


class Terminal:
    """quiet_stdout: standard output carries data, so everything goes to standard error."""

    def __init__(self, quiet_stdout: bool = False) -> None:
        self._file = sys.stderr if quiet_stdout else sys.stdout
        self._console = Console(file=self._file, highlight=False)

    @contextmanager
    def progress(self, name: str, total: int | None) -> Iterator[Callable[[], None]]:
        """Yield a function to call after each frame; nothing is shown but on a terminal.

        total: frames to come; None shows no bar and no time left.
        """
        known = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
        columns = (SpinnerColumn(), TextColumn("{task.description}"), _Rate())
        with Progress(
            *columns,
            *(known if total else (TextColumn("{task.completed} frames"),)),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as bar:
            task = bar.add_task(name, total=total)
            yield lambda: bar.advance(task)

    def detections(self, result: Result) -> bool:
        """A small table of what is in one photo; a sink's function, always True."""
        rows = [
            (each["label"], f"{each['score']:.2f}", *(f"{x:.0f}" for x in each["box"]))
            for each in result.detections.to_dict()
        ]
        if not self._console.is_terminal:
            for row in rows:
                self.say(" ".join(row))
        elif rows:
            table = Table("label", "score", "x1", "y1", "x2", "y2")
            for column in table.columns[1:]:
                column.justify = "right"
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            self._console.print(table)
        return True

    def say(self, line: str) -> None:
        """One plain line, never wrapped."""
        print(line, file=self._file, flush=True)


def complain(line: str) -> None:
    """One line on standard error, in the form of every error of the command line."""
    print(f"edge-passd: {line}", file=sys.stderr, flush=True)


class _Rate(ProgressColumn):
    """Frames per second of late."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} fps" if task.speed else "")
