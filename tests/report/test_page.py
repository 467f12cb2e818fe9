"""The page as a text: what stands in it, and that nothing from a row runs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_passd.bench.row import OK, failed_row, parse_row, row_text
from edge_passd.errors import BadInput
from edge_passd.report.cells import COLUMNS
from edge_passd.report.comparison import compare
from edge_passd.report.doubts import row_doubts, section_doubts
from edge_passd.report.facts import environment, identity, parity, protocol
from edge_passd.report.figure import png
from edge_passd.report.page import page
from edge_passd.report.plots import all_plots, row_plot
from edge_passd.report.records import record
from edge_passd.report.timeline import known_panels
from edge_passd.report.values import LARGEST, SMALLEST, legible
from edge_passd.report.verdict import verdict
from tests.bench.test_row import ANYTHING
from tests.report.rows import CREATED, made_row

NASTY = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)> $x_{ 日本 😀"
HEADINGS = ["Where the time goes", "How latency is distributed", "Each row", "Parity", "Share"]


class Elements(HTMLParser):
    """Tags and attributes of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_parts_in_their_order() -> None:
    rows = [made_row("a.onnx", 10, power__j_per_frame=0.5), made_row("b.onnx", 20, 0.6)]
    rows.append(failed_row(Path("c.onnx"), "tvm", "failed", "no such operator", CREATED))
    html = page(compare(rows), "Three")
    places = [html.index(f"<h3>{heading}") for heading in HEADINGS]
    assert places == sorted(places)
    assert html.index("<h1>Three</h1>") < html.index("fastest is a.onnx") < html.index("<svg")
    assert html.index("<svg") < html.index("<table") < places[0] < places[1]
    assert places[1] < html.index("<h3>AP over energy") < places[2]
    assert places[-1] < html.index("Not measured") < html.index("no such operator")
    assert html.startswith("<!doctype html>")


def test_the_same_rows_give_the_same_bytes_in_any_order() -> None:
    rows = [made_row("a.onnx", 10), made_row("b.onnx", 20)]
    assert page(compare(rows), "t") == page(compare(rows[::-1]), "t")
    first, second = (all_plots(compare(rows))[0] for _ in range(2))
    assert png(first) == png(second)


def test_nothing_of_a_row_is_more_than_text() -> None:
    row = made_row(
        NASTY, 10, data=NASTY, engine=NASTY, precision=NASTY, model=NASTY, created=NASTY, nms=NASTY,
        board__model=NASTY, board__governor=NASTY, photos__source=NASTY, protocol__rule=NASTY,
        versions={NASTY: NASTY}, classes=[NASTY], power__status=f"not measured: {NASTY}",
        thermal__throttled_reason=NASTY, parity=[{"engine": NASTY}],
    )  # fmt: skip
    other = {**row, "threads": 1, "others_cores": 2.0, "accuracy": None}
    failed = failed_row(Path("x"), NASTY, "failed", NASTY, NASTY)
    elements = Elements(page(compare([row, other, {**failed, "file": NASTY}]), NASTY))
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "base"}
    for _, attributes in elements.found:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "src", "xlink:href"):
            value = attributes.get(name) or ""
            assert value.startswith("#") or value in ("", "data:,")
    assert "alert(1)" in elements.text
    policy = next(each["content"] for each in elements.all("meta") if "http-equiv" in each)
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_it_needs_nothing_but_itself_and_tells_what_it_shows() -> None:
    html = page(compare([made_row()]), "t")
    elements = Elements(html)
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", html)
    pictures = elements.all("svg")
    assert len(pictures) == 3 * 2 + 1
    names = [each["id"] for _, each in elements.found if "id" in each]
    assert len(names) == len(set(names))
    for picture in pictures:
        assert picture["role"] == "img"
        assert set((picture["aria-labelledby"] or "").split()) <= set(names)
    for heading in elements.all("th"):
        assert heading["scope"] in ("col", "row")
    # Each colour can change with the scheme.
    drawn = re.findall(r"(?:fill|stroke|color): ?(#[0-9a-f]{6})", html[html.index("<body>") :])
    assert not drawn


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ap": None}, "accuracy was not measured"),
        ({"power__status": "not measured: no meter here"}, "not measured: no meter here"),
        ({}, "not asked for: bench --power"),
        ({"peak_rss_bytes": None}, "the system does not tell"),
        ({"thermal": {"throttled": "unknown", "timeline": {}}}, "heat and clocks are unknown"),
        ({"board": {"model": None, "cpu": None}}, "unknown machine"),
        ({"int8_share": None, "parity": []}, "nobody counted"),
        ({"affinity": None, "others_cores": None}, "the system does not tell"),
        ({"photos": 1}, "animals.onnx"),
        ({"photos": 2000}, "animals.onnx"),
    ],
)
def test_what_is_unknown_is_said(changes: dict[str, Any], words: str) -> None:
    assert words in page(compare([made_row(**changes)]), "t")


def test_two_data_sets_have_a_part_each() -> None:
    html = page(compare([made_row(), made_row("b.onnx", data="street")]), "t")
    assert re.findall(r"<h2 id=\"data-\d\">(.*?)</h2>", html) == [
        "animals val, 500 images", "street, 500 images",
    ]  # fmt: skip
    assert "no axis and no ranking in common" in html


def test_fifty_rows_with_long_names_have_their_names_in_the_plot_apart() -> None:
    rows = [
        made_row(f"{'name' * 30}{i}.onnx", 5 + i % 13, 0.3 + 0.01 * (i % 17)) for i in range(50)
    ]
    (main, *_) = all_plots(compare(rows))
    figure = main.draw(11.5)
    (axes,) = figure.axes
    boxes = [
        text.get_window_extent() for text in axes.texts if text.get_text()
    ]  # fmt: skip
    assert 10 < len(boxes) <= 50
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_dollars_in_a_name_are_no_formula() -> None:
    html = page(compare([made_row("$\\frac$.onnx", board__model="$\\nope{$")]), "t")
    for name in ("$\\frac$.onnx", "$\\nope{$"):
        assert name in Elements(html[html.index("<figure") : html.index("<table")]).text


def test_the_most_extreme_rows_are_drawn() -> None:
    extremes = {"p10": SMALLEST, "p50": 1.0, "p90": LARGEST, "p99": LARGEST}
    ends = {f"latency_ms__{key}": value for key, value in extremes.items()}
    junk = {"time_s": [LARGEST, None, "x"], "celsius": [-LARGEST, 1, 2], "watts": 3}
    stopped = {f"samples_us__{key}": [0] for key in ("at", "pre", "infer", "post")}
    nothing = dict.fromkeys(("pre", "infer", "post"), 0)
    comparison = compare(
        [
            made_row(**ends, power__j_per_frame=SMALLEST, accuracy__AP=0, thermal__timeline=junk),
            made_row("b.onnx", 1, 1.0, power__j_per_frame=LARGEST),
            made_row("c.onnx", 1, None, photos=1, stages_ms=nothing, **stopped),
        ]
    )
    drawn = page(comparison, "t").count("<svg")
    assert drawn == 2 * (4 + 3) + 3  # each section's plots in two widths, each row's time line


@pytest.fixture(scope="module")
def text() -> str:
    return row_text(made_row())


@given(data=st.data())
def test_whatever_stands_in_a_row_is_shown_or_refused(text: str, data: st.DataObject) -> None:
    row = parse_row(text, "row")
    for _ in range(3):
        key = data.draw(st.sampled_from(sorted(row)))
        if isinstance(row[key], dict) and row[key] and data.draw(st.booleans()):
            row[key][data.draw(st.sampled_from(sorted(row[key])))] = data.draw(ANYTHING)
        else:
            row[key] = data.draw(ANYTHING)
    assume(row["status"] == OK)
    try:
        (entry,) = compare([legible(parse_row(json.dumps(row), "row"))]).entries
    except BadInput:
        return
    shown = record(entry)
    for cell in [column.cell(shown) for column in COLUMNS]:
        assert cell.text
    for fact in (*environment(entry.row), *protocol(entry.row), *identity(entry.row)):
        assert fact.cell.text
    comparison = compare([entry.row])
    assert verdict(comparison)
    assert isinstance(section_doubts(comparison.sections[0]), list)
    assert isinstance(row_doubts(entry), list)
    assert isinstance(parity([entry]), list)
    assert row_plot(entry).words
    assert isinstance(known_panels(entry.row), list)
