"""What boards are doing, as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn


@contextmanager
def boards_progress(
    console: Console, names: Sequence[str]
) -> Iterator[Callable[[str, str, float | None], None]]:
    """Yield a function that takes a board's name, what it does, and its share that is done, 0-1.

    On a terminal every board has a bar, elsewhere every step is a line.
    """
    columns = (
        TextColumn("{task.fields[board]}: {task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
    )
    shown = dict.fromkeys(names, "")
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        tasks = {name: bars.add_task("waiting", total=None, board=name) for name in names}

        def tell(name: str, step: str, share: float | None) -> None:
            total = None if share is None else 1.0
            bars.update(tasks[name], description=step, total=total, completed=share or 0.0)
            if not console.is_terminal and step != shown[name]:
                console.print(f"{name}: {step}", markup=False, soft_wrap=True)
            shown[name] = step

        yield tell
