"""`edge-passd report`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """
\b
Examples:
  edge-passd report float.json int8.json -o report.html
  edge-passd report rows/ -o report.html -o report.md      # every row in a folder
  edge-passd report rows/ -o report/                       # page, tables and every plot
  edge-passd report rows/ -o rows.csv --min-images 500
"""


@click.command(epilog=EXAMPLES)
@click.argument("rows", metavar="ROW...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "outputs", metavar="FILE|DIR/", multiple=True, required=True,
    help="A .html page, .md, .csv or .json tables, a .png plot, or a folder for all; repeatable.",
)  # fmt: skip
@click.option("--title", metavar="TEXT", help="Of the page.")
@click.option(
    "--min-images", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
    help="Accuracy on fewer is shown, but not ranked.",
)  # fmt: skip
def report(
    rows: tuple[Path, ...], outputs: tuple[str, ...], title: str | None, min_images: int
) -> None:
    """Compare rows that `edge-passd bench --json` wrote.

    ROW is a file or a folder of .json files. Rows of different data sets are never compared: each
    data set gets a part of its own.
    """
    from rich.console import Console

    from edge_passd.report.report import TITLE, ReportOptions
    from edge_passd.report.report import report as start

    start(ReportOptions(rows, outputs, title or TITLE, min_images), Console(highlight=False))
