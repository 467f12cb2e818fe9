"""The report on a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edge_passd.doctor.checkup import GROUPS, MODEL_GROUP, Report
from edge_passd.doctor.conformance import Conformance
from edge_passd.doctor.finding import BROKEN, LIMITED, MISSING, OK, OPTIONAL, UNTRIED, Finding
from edge_passd.doctor.text import ARROW, TITLES, show
from edge_passd.doctor.trials import CONFORMANT, UNSUPPORTED, WRONG, Verdict

LONG = "a-version-with-hyphens and " * 8
FINDINGS = (
    Finding("board", OK, "Raspberry Pi 5"),
    Finding("a longer name", BROKEN, LONG, "sudo apt-get install " + "something " * 10),
    Finding("gpu", OPTIONAL, "[bold]no markup[/bold]", "none"),
)


def shown(report: Report, width: int = 80, terminal: bool = False) -> str:
    said = io.StringIO()
    show(report, Console(file=said, width=width, force_terminal=terminal, highlight=False))
    return said.getvalue()


@pytest.mark.parametrize("width", [80, 60, 120])
def test_lines_are_aligned_and_no_wider_than_the_terminal(width: int) -> None:
    lines = shown(Report({"machine": FINDINGS}, None), width).splitlines()
    assert lines[0] == "This machine"
    assert lines[1] == "  ok        board          Raspberry Pi 5"
    assert max(len(line) for line in lines if ARROW not in line) <= width
    assert " ".join(" ".join(lines).split()).count("a-version-with-hyphens") == 8
    assert "[bold]no markup[/bold]" in " ".join(lines)


def test_a_command_stays_in_one_piece() -> None:
    (line,) = [line for line in shown(Report({"machine": FINDINGS}, None)).splitlines()
               if "apt-get" in line]  # fmt: skip
    assert line.count("something") == 10


def test_colours_are_for_terminals() -> None:
    report = Report({"machine": FINDINGS}, None)
    assert "\x1b[" not in shown(report)
    assert "\x1b[" in shown(report, terminal=True)


@pytest.mark.parametrize(
    ("states", "verdict", "broken", "says"),
    [
        ((OK, OPTIONAL, MISSING, UNTRIED), Verdict(UNSUPPORTED, "no rule"), False, "nothing is"),
        ((OK,), Verdict(CONFORMANT), False, "1 ok: nothing is broken."),
        ((OK, BROKEN), Verdict(CONFORMANT), True, "mend what is broken"),
        ((OK, LIMITED), Verdict(CONFORMANT), False, "weights of 8 bits are wrong here in limited."),
        ((OK,), Verdict(WRONG, "off by 3", 3.0), True, "computed wrong"),
    ],
)
def test_the_last_line_sums_up(
    states: tuple[str, ...], verdict: Verdict, broken: bool, says: str
) -> None:
    findings = tuple(Finding(state, state, "x") for state in states)
    report = Report({"engines": findings}, Conformance({"engine": {"topk": verdict}}))
    text = shown(report)
    assert report.broken == broken
    assert says in text.splitlines()[-1]
    assert (f"engine, TopK: {verdict.reason}" in text) == (verdict.state != CONFORMANT)


def test_the_model_stands_last() -> None:
    groups = {MODEL_GROUP: (Finding("engine", OK, "loads"),), "machine": FINDINGS}
    text = shown(Report(groups, Conformance({"engine": {"topk": Verdict(CONFORMANT)}})))
    assert text.index("This machine") < text.index("TopK") < text.index("The model")


def test_every_group_has_a_title() -> None:
    assert TITLES.keys() == GROUPS.keys() | {MODEL_GROUP}
