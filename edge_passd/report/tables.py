"""A report as text: Markdown for people, CSV and JSON for scripts."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from edge_passd.report.cells import COLUMNS, UNKNOWN, Cell
from edge_passd.report.comparison import Comparison
from edge_passd.report.doubts import section_doubts
from edge_passd.report.records import failures, record, records
from edge_passd.report.verdict import verdict

SCHEMA = 1

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~#&$!])")
_FORMULA = ("=", "+", "-", "@")  # a spreadsheet would run what starts with one


def markdown(comparison: Comparison, title: str) -> str:
    """A heading, the verdict, and a table for each data set."""
    parts = [f"# {escaped(title)}", escaped(verdict(comparison))]
    for section in comparison.sections:
        name = "Speed only" if section.data is None else section.data
        parts.append(f"## {escaped(name)}")
        parts += [f"- {escaped(doubt)}" for doubt in section_doubts(section)]
        headings = [
            Cell(f"{each.heading} ({each.unit})" if each.unit else each.heading) for each in COLUMNS
        ]
        rows = [[each.cell(record(entry)) for each in COLUMNS] for entry in section.entries]
        parts.append(_table(headings, rows))
    if comparison.failures:
        parts.append("## Not measured")
        headings = [Cell(key, is_number=False) for key in failures(comparison)[0]]
        rows = [
            [Cell(value or UNKNOWN, is_number=False) for value in each.values()]
            for each in failures(comparison)
        ]
        parts.append(_table(headings, rows))
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", "\n\n".join(parts)) + "\n"


def csv_text(comparison: Comparison) -> str:
    """A line for each measured row and for each failure, under the names of `records`.

    Unknown is empty. A text that a spreadsheet would take for a formula starts with an apostrophe.
    """
    rows = records(comparison)
    rows += [
        {"artefact": each["file"], "engine": each["engine"], "created": each["created"],
         "remote": each["remote"], "notes": f"{each['status']}: {each['reason']}"}
        for each in failures(comparison)
    ]  # fmt: skip
    names = list(dict.fromkeys(key for row in rows for key in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _csv_value(value) for key, value in row.items()} for row in rows)
    return stream.getvalue()


def json_text(comparison: Comparison, title: str) -> str:
    """The records by data set, and what could not be measured."""
    document = {
        "report": SCHEMA,
        "title": title,
        "verdict": verdict(comparison),
        "min_images": comparison.min_images,
        "sections": [
            {
                "data": section.data,
                "data_sha256": section.sha256,
                "images": section.images or None,
                "doubts": section_doubts(section),
                "rows": [record(entry) for entry in section.entries],
            }
            for section in comparison.sections
        ],
        "failures": failures(comparison),
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def escaped(text: str) -> str:
    """A text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", text)


def _table(headings: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    rules = ["---:" if cell.is_number else "---" for cell in rows[0]]
    lines = [[escaped(cell.text) for cell in headings], rules]
    lines += [
        [escaped(f"{cell.text} ({cell.small})" if cell.small else cell.text) for cell in row]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _csv_value(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    if isinstance(value, bool):
        return str(value).lower()
    return value
