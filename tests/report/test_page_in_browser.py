"""The page as a real browser shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_passd.bench.row import failed_row
from edge_passd.report.comparison import compare
from edge_passd.report.page import page
from tests.programs import require_program
from tests.report.rows import CREATED, made_row

WIDTHS = (320, 390, 1280)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LONG = "a-name-that-goes-on-" * 12


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = require_program("chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets, speed alone, a failure, and names as long and as strange as they get."""
    rows = [
        made_row(f"animals-{i}.onnx", 5 + 4 * i, 0.3 + 0.05 * i, precision=precision,
                 board__model=f"Board {i % 2}", power__j_per_frame=0.1 * i or None)
        for i, precision in enumerate(("int8", "fp32", "fp16", "int4"))
    ]  # fmt: skip
    rows += [
        made_row(LONG, 9, data=LONG, engine=LONG, board__model=LONG, precision=LONG),
        made_row("<script>document.title='run'</script>", 9, None, power__status=f"not: {LONG}"),
        failed_row(Path(LONG), LONG, "failed", LONG, CREATED),
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(compare(rows), "A report"), encoding="utf-8")
    return path


@pytest.fixture(params=WIDTHS)
def shown(browser: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, open in a window of some width; `said` and `asked` are of it."""
    context = browser.new_context(viewport={"width": request.param, "height": 844})
    tab = context.new_page()
    tab.said, tab.asked = [], []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("request", lambda each: tab.asked.append(each.url))
    tab.goto(file.as_uri())
    yield tab
    context.close()


def test_it_says_nothing_asks_for_nothing_and_fits(shown: Any, file: Path, tmp_path: Path) -> None:
    shown.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    width = shown.viewport_size["width"]
    shown.screenshot(path=tmp_path / f"{width}.png", full_page=True)
    assert shown.said == []
    assert shown.asked == [file.as_uri()]
    assert shown.title() == "A report"
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    # What is wider than the window scrolls in a box of its own.
    outside = """[...document.querySelectorAll('main *')].filter(each =>
        !each.closest('.box, svg') && each.getBoundingClientRect().right > innerWidth + 1).length"""
    assert shown.evaluate(outside) == 0


def test_one_of_each_pair_of_plots_is_visible_and_large_enough(shown: Any) -> None:
    width = shown.viewport_size["width"]
    figures = shown.query_selector_all("figure:not(.timeline)")
    assert len(figures) == 3 + 1 + 3 + 3  # three parts, and the energy of one
    for figure in figures:
        boxes = [each.bounding_box() for each in figure.query_selector_all("svg")]
        (box,) = [each for each in boxes if each is not None]
        assert 0.85 * width < box["width"] + 32 <= width
        assert box["height"] > 60
    shown.click("summary >> nth=0")
    box = shown.query_selector(".timeline svg").bounding_box()
    assert box["width"] > 280
    assert box["height"] > 150


def test_text_in_plots_can_be_read_on_a_phone(shown: Any) -> None:
    heights = shown.evaluate(
        """[...document.querySelectorAll('figure:not(.timeline) svg text')]
        .map(each => each.getBoundingClientRect().height).filter(each => each > 0)"""
    )
    assert min(heights) > 7


def test_dark_and_light_differ_and_paper_is_white(shown: Any) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    mark = "getComputedStyle(document.querySelector('svg text')).fill"
    seen = []
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        shown.emulate_media(color_scheme=scheme, media=media)
        seen.append((shown.evaluate(paper), shown.evaluate(mark)))
    assert seen[0] == seen[2] == ("rgb(254, 254, 254)", "rgb(29, 33, 38)")
    assert seen[1] == ("rgb(22, 25, 29)", "rgb(232, 233, 234)")
