"""A report as one HTML page that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edge_passd.report.cells import COLUMNS
from edge_passd.report.comparison import Comparison, Entry, Section
from edge_passd.report.doubts import section_doubts
from edge_passd.report.facts import PARITY_HEADINGS, environment, identity, parity, protocol
from edge_passd.report.figure import NARROW, WIDE, Plot, svg
from edge_passd.report.plots import main_plot, other_plots, row_plot
from edge_passd.report.records import failures, record
from edge_passd.report.style import COLOURS
from edge_passd.report.verdict import verdict

_FOLDER = Path(__file__).parent


def page(comparison: Comparison, title: str) -> str:
    """The page. Everything from rows is escaped: they come from outside."""
    environment_ = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment_.get_template("page.html.j2").render(
        title=title,
        verdict=verdict(comparison),
        css=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        colours=COLOURS,
        columns=COLUMNS,
        sections=[_section(comparison, each) for each in comparison.sections],
        several=comparison.data_sets > 1,
        failures=failures(comparison),
        parity_headings=PARITY_HEADINGS,
        min_images=comparison.min_images,
    )


def _section(comparison: Comparison, section: Section) -> dict[str, Any]:
    position = 1 + comparison.sections.index(section)
    return {
        "id": f"data-{position}",
        "data": section.data,
        "images": section.images,
        "sha256": section.sha256,
        "doubts": section_doubts(section),
        "main": _both_widths(main_plot(comparison, section)),
        "others": [_both_widths(plot) for plot in other_plots(comparison, section)],
        "rows": [_table_row(entry) for entry in section.entries],
        "details": [_details(entry) for entry in section.entries],
        "parity": parity(section.entries),
        "shares": [entry for entry in section.entries if entry.row["int8_share"] is not None],
    }


def _table_row(entry: Entry) -> dict[str, Any]:
    found = record(entry)
    return {"number": entry.number, "cells": [(each, each.cell(found)) for each in COLUMNS]}


def _details(entry: Entry) -> dict[str, Any]:
    plot = row_plot(entry)
    return {
        "number": entry.number,
        "label": entry.label,
        "facts": (
            ("Artefact", identity(entry.row)),
            ("Machine", environment(entry.row)),
            ("Protocol", protocol(entry.row)),
        ),
        "title": plot.title,
        "svg": Markup(svg(plot, NARROW)),
    }


def _both_widths(plot: Plot) -> dict[str, Any]:
    return {
        "title": plot.title,
        "wide": Markup(svg(plot, WIDE)),
        "narrow": Markup(svg(plot, NARROW)),
    }
