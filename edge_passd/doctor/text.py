"""A report for people: aligned lines, coloured on a terminal and plain in a pipe."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_passd.doctor.cases import CASES
from edge_passd.doctor.checkup import MODEL_GROUP, Report
from edge_passd.doctor.conformance import Conformance
from edge_passd.doctor.finding import BROKEN, LIMITED, MISSING, OK, OPTIONAL, UNTRIED, Finding
from edge_passd.doctor.trials import CONFORMANT, CRASHED, UNSUPPORTED, WRONG

TITLES = {
    "machine": "This machine",
    "engines": "Engines",
    "pictures": "Pictures and windows",
    "cameras": "Cameras",
    "tools": "Tools of a workstation",
    "extras": "Extras of edge-passd",
    "model": "The model",
}
STYLES = {
    OK: "green", MISSING: "yellow", OPTIONAL: "dim", BROKEN: "bold red", UNTRIED: "cyan",
    WRONG: "bold red", CRASHED: "bold red", UNSUPPORTED: "yellow",
    LIMITED: "yellow",
}  # fmt: skip
ARROW = "-> "
_STATE_WIDTH = max(map(len, (OK, MISSING, OPTIONAL, BROKEN, UNTRIED)))
_NARROWEST = 30  # columns for what was found, however narrow the terminal


def show(report: Report, console: Console) -> None:
    """Print all groups, the operators and a sum. Commands are never wrapped."""
    for name, findings in report.groups.items():
        if name == MODEL_GROUP:  # what was asked for stands last
            continue
        _show_group(name, findings, console)
    if report.conformance and report.conformance.verdicts:
        _show_operators(report.conformance, console)
    if MODEL_GROUP in report.groups:
        _show_group(MODEL_GROUP, report.groups[MODEL_GROUP], console)
    console.print(Text(_sum(report)), soft_wrap=True)


def _show_group(name: str, findings: Sequence[Finding], console: Console) -> None:
    console.print(Text(TITLES[name], style="bold"))
    for line in _lines(findings, console.width):
        console.print(line, soft_wrap=True)
    console.print()


def _lines(findings: Sequence[Finding], width: int) -> Iterator[Text]:
    name_width = max((len(each.name) for each in findings), default=0)
    for each in findings:
        head = f"  {each.state:<{_STATE_WIDTH}}  {each.name:<{name_width}}  "
        margin = " " * len(head)
        room = max(width - len(head), _NARROWEST)
        found = textwrap.wrap(each.found, room, break_on_hyphens=False) or [""]
        first = Text(head + found[0])
        first.stylize(STYLES[each.state], 2, 2 + len(each.state))
        yield first
        yield from (Text(margin + line) for line in found[1:])
        if each.cure:  # not wrapped: it is there to be copied
            yield Text(f"{margin}{ARROW}{each.cure}", style="cyan")


def _show_operators(conformance: Conformance, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    table.add_column("  operator", no_wrap=True)
    for engine in conformance.verdicts:
        table.add_column(engine, no_wrap=True)
    reasons = []
    for name, case in CASES.items():
        cells = [Text(f"  {case.title}")]
        for engine, verdicts in conformance.verdicts.items():
            verdict = verdicts.get(name)
            state = verdict.state if verdict else "-"
            cells.append(Text(state, style=STYLES.get(state, "dim")))
            if verdict and verdict.state != CONFORMANT:
                reasons.append(f"  {engine}, {case.title}: {verdict.reason}")
        table.add_row(*cells)
    console.print(Text("Operators, computed and compared", style="bold"))
    console.print(table)
    for each in reasons:
        console.print(Text(each), soft_wrap=True)
    console.print()


def _sum(report: Report) -> str:
    counts = Counter(each.state for group in report.groups.values() for each in group)
    words = ", ".join(f"{counts[state]} {state}" for state in STYLES if counts[state])
    if not report.broken:
        if report.saturating:
            who = " and ".join(report.saturating)
            return f"{words}: int8 models with weights of 8 bits are wrong here in {who}."
        return f"{words}: nothing is broken."
    if counts[BROKEN]:
        return f"{words}: mend what is broken first."
    return f"{words}; operators are computed wrong, see the table."
