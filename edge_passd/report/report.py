"""`edge-passd report`: rows in; a page, tables and plots out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_passd.errors import BadInput
from edge_passd.files import naming, replacing, require_writable
from edge_passd.report.cells import UNKNOWN
from edge_passd.report.comparison import MIN_IMAGES, Comparison, Entry, compare
from edge_passd.report.doubts import row_doubts
from edge_passd.report.figure import png
from edge_passd.report.formats import milliseconds, percent
from edge_passd.report.labels import shortened
from edge_passd.report.page import page
from edge_passd.report.plots import all_plots, main_plot
from edge_passd.report.read import REPORT_NAME, read_rows
from edge_passd.report.tables import csv_text, json_text, markdown
from edge_passd.report.verdict import section_verdict

TITLE = "Benchmark report"


@dataclass(frozen=True)
class ReportOptions:
    """What the user asked for.

    rows: files, and folders of them. outputs: files whose suffix says what they hold, and folders,
    which get everything. min_images: whose accuracy counts for a rank.
    """

    rows: tuple[Path, ...]
    outputs: tuple[str, ...]
    title: str = TITLE
    min_images: int = MIN_IMAGES


def report(options: ReportOptions, console: Console) -> Comparison:
    """Write the outputs, each whole or not at all, and print the ranking.

    Raises BadInput for rows that cannot be read, see `read_rows`, and for outputs that cannot be
    written, before anything is.
    """
    targets = [_target(each) for each in options.outputs]
    comparison = compare(read_rows(options.rows), options.min_images)
    title = "".join(each if each.isprintable() else "?" for each in options.title)
    contents: dict[Path, bytes] = {}
    for path, is_folder in targets:
        contents |= _folder(path, comparison, title) if is_folder else _file(
            path, comparison, title
        )  # fmt: skip
    for path in contents:
        require_writable(path)
    for path, content in contents.items():
        with naming(path), replacing(path) as temporary:
            temporary.write_bytes(content)
    _say(comparison, list(contents), console)
    return comparison


def _target(name: str) -> tuple[Path, bool]:
    """The path, and whether it is a folder; BadInput if nothing can be written there."""
    path = Path(name)
    if path.is_dir() or name.endswith(("/", os.sep)):
        require_writable(path / REPORT_NAME)
        return path, True
    if path.suffix.lower() not in _KINDS:
        kinds = ", ".join(_KINDS)
        raise BadInput(f"-o {name}: a report is a file in {kinds}, or a folder with / at its end")
    require_writable(path)
    return path, False


def _file(path: Path, comparison: Comparison, title: str) -> dict[Path, bytes]:
    return _KINDS[path.suffix.lower()](path, comparison, title)


def _folder(folder: Path, comparison: Comparison, title: str) -> dict[Path, bytes]:
    contents: dict[Path, bytes] = {}
    for suffix in (".html", ".md", ".csv", ".json"):
        contents |= _file((folder / REPORT_NAME).with_suffix(suffix), comparison, title)
    return contents | {
        folder / f"{plot.name}.png": png(plot) for plot in all_plots(comparison)
    }  # fmt: skip


def _text(make: Callable[[Comparison, str], str]) -> Callable[..., dict[Path, bytes]]:
    return lambda path, comparison, title: {path: make(comparison, title).encode()}


def _pictures(path: Path, comparison: Comparison, title: str) -> dict[Path, bytes]:
    """The main plot; those of a second data set and so on have -2 and so on in their names."""
    if not comparison.sections:
        raise BadInput(f"{path}: nothing to plot, none of the artefacts could be measured")
    return {
        path.with_stem(f"{path.stem}-{position}" if position > 1 else path.stem): png(
            main_plot(comparison, section)
        )
        for position, section in enumerate(comparison.sections, 1)
    }


_KINDS: dict[str, Callable[[Path, Comparison, str], dict[Path, bytes]]] = {
    ".html": _text(page),
    ".md": _text(markdown),
    ".csv": _text(lambda comparison, title: csv_text(comparison)),
    ".json": _text(json_text),
    ".png": _pictures,
}


def _say(comparison: Comparison, paths: Sequence[Path], console: Console) -> None:
    if comparison.data_sets > 1:
        console.print(
            f"{comparison.data_sets} data sets: each has its own axes and its own ranking"
        )
    for section in comparison.sections:
        name = "speed only" if section.data is None else f"{section.data}, {section.images} images"
        table = Table(title=Text(name), title_justify="left")
        for heading in ("rank", "artefact", "board", "p50 ms", "AP", "notes"):
            table.add_column(heading, justify="right" if heading in _RIGHT else "left")
        for entry in section.entries:
            table.add_row(*map(Text, _line(entry)))
        console.print(table)
        console.print(Text(section_verdict(section)))
    for row in comparison.failures:
        console.print(Text(f"{row['file']} ({row['engine']}): {row['status']}, {row['reason']}"))
    for path in paths[:_MANY]:
        console.print(Text(f"wrote {path}"), soft_wrap=True)
    if len(paths) > _MANY:
        console.print(Text(f"and {len(paths) - _MANY} more beside it"))


_RIGHT = ("rank", "p50 ms", "AP")
_MANY = 8  # files that are listed


def _line(entry: Entry) -> tuple[str, ...]:
    rank = UNKNOWN if entry.rank is None else f"{entry.rank}{' ◆' if entry.on_line else ''}"
    ap = UNKNOWN if entry.ap is None else percent(entry.ap)
    notes = ", ".join(row_doubts(entry))
    return rank, entry.label, shortened(entry.board), milliseconds(entry.p50), ap, notes
