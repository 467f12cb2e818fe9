"""The page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import playwright.sync_api as browsers
import pytest

from edge_passd.sinks.sink import Result
from edge_passd.sources.source import SourceState
from tests.programs import require_program
from tests.serve.fakes import View, counts, filming, result, serving

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS, STEP_MS = 15_000, 50
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
LONG = "a-name-that-nobody-would-give-to-a-class-" * 3
# The mean brightness of the picture as the page shows it.
BRIGHTNESS = """() => {
    const image = document.getElementById("picture"), canvas = document.createElement("canvas");
    if (!image.naturalWidth) return -1;
    canvas.width = canvas.height = 8;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, image.naturalHeight / 2, 4, 4, 0, 0, 8, 8);
    return context.getImageData(0, 0, 8, 8).data[0];
}"""

WIDTHS = "[...document.querySelectorAll('.bar i')].map(bar => bar.getBoundingClientRect().width)"


@pytest.fixture(scope="module")
def browser() -> Iterator[browsers.Browser]:
    path = require_program("chromium")
    with browsers.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: browsers.Browser) -> Iterator[browsers.Page]:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    context.close()


def visit(page: browsers.Page, view: View, query: str = "") -> None:
    # The picture never ends, so the page never is "loaded".
    page.goto(f"http://127.0.0.1:{view.port}/{query}", wait_until="domcontentloaded")


def wait_for_status(page: browsers.Page, status: str) -> None:
    browsers.expect(page.locator(f"#status[data-status={status}]")).to_be_attached(timeout=WAIT_MS)


def wait_until(page: browsers.Page, condition: Callable[[], bool]) -> None:
    """Ask from here: the page's own policy forbids the browser to evaluate what is waited for."""
    for _ in range(WAIT_MS // STEP_MS):
        if condition():
            return
        page.wait_for_timeout(STEP_MS)
    raise AssertionError("it never came to hold")


def wait_for_motion(page: browsers.Page) -> None:
    wait_until(page, lambda: page.evaluate(BRIGHTNESS) >= 0)
    before = page.evaluate(BRIGHTNESS)
    wait_until(page, lambda: abs(page.evaluate(BRIGHTNESS) - before) > 3)


def test_it_shows_the_moving_picture_and_its_figures_and_asks_nobody_else(
    page: browsers.Page, view: View
) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    entering = {"type": "zone", "name": "yard", "id": 7, "label": "cat", "event": "enter"}

    def make(index: int) -> Result:
        return result(index, None, (0, 1, 1), latency_s=0.04, events=(entering,), counts=counts())

    with filming(view, make):
        visit(page, view)
        wait_for_status(page, "live")
        wait_for_motion(page)
        browsers.expect(page.locator("#fps")).to_have_text(re.compile(r"\d+\.\d"))
        browsers.expect(page.locator("#p50")).to_have_text("40")
        browsers.expect(page.locator("#latency")).to_have_text("Latency, from camera to boxes")
        browsers.expect(page.locator("#histogram rect")).to_have_count(24)
        rows = page.locator("#classes tbody tr")
        browsers.expect(rows.nth(0)).to_have_text("cat2.002")
        browsers.expect(rows.nth(1)).to_have_text("dog1.001")
        widths = page.evaluate(WIDTHS)  # in one go: rows are made anew twice a second
        assert widths[0] == pytest.approx(2 * widths[1], rel=0.05)
        browsers.expect(page.locator("#places")).to_contain_text("3 in · 1 out")
        browsers.expect(page.locator("#places")).to_contain_text("2 inside")
        browsers.expect(page.locator("#last")).to_contain_text("cat #7 enter yard")
        browsers.expect(page.locator("#about")).to_contain_text("animals5 · onnxruntime · int8")
    assert said == []
    assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{view.port}"}


def test_a_stale_picture_is_greyed_and_said_to_be(page: browsers.Page, view: View) -> None:
    with filming(view):
        visit(page, view)
        wait_for_status(page, "live")
        browsers.expect(page.locator("#view")).not_to_have_class("stale")
        view.camera.now = SourceState(connected=False, problem="camera:0: unplugged")
        wait_for_status(page, "reconnecting")
        browsers.expect(page.locator("#view")).to_have_class("stale")
        browsers.expect(page.locator("#notice")).to_have_text("camera:0: unplugged")
        view.camera.now = SourceState(connected=True)
        wait_for_status(page, "live")
        browsers.expect(page.locator("#notice")).to_be_hidden()


def test_it_comes_back_when_the_server_does(page: browsers.Page) -> None:
    with serving() as view, filming(view):
        visit(page, view)
        wait_for_status(page, "live")
        wait_for_motion(page)
    wait_for_status(page, "offline")
    browsers.expect(page.locator("#view")).to_have_class("stale")
    with serving(view.port) as again, filming(again):
        wait_for_status(page, "live")
        wait_for_motion(page)


def test_a_picture_that_stops_alone_is_asked_for_again(
    page: browsers.Page, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filming(view):
        monkeypatch.setattr("edge_passd.serve.site.MOST_STREAMS", 0)  # all seats are taken
        visit(page, view)
        wait_for_status(page, "live")
        browsers.expect(page.locator("#notice")).to_contain_text("too many are watching")
        monkeypatch.undo()
        wait_for_motion(page)
        browsers.expect(page.locator("#notice")).to_be_hidden()


def test_a_hidden_tab_watches_nothing(page: browsers.Page, view: View) -> None:
    def pretend(hidden: bool) -> None:
        page.evaluate(
            "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, "
            "configurable: true }); document.dispatchEvent(new Event('visibilitychange')); }",
            hidden,
        )

    def has_viewers(count: int) -> bool:
        return f"edge_passd_viewers {count}\n" in view.get("/metrics").text

    with filming(view):
        visit(page, view)
        wait_for_motion(page)
        wait_until(page, lambda: has_viewers(1))
        pretend(hidden=True)
        wait_until(page, lambda: has_viewers(0))
        pretend(hidden=False)
        wait_for_motion(page)
        wait_until(page, lambda: has_viewers(1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(
    page: browsers.Page, view: View, photo: np.ndarray, scheme: str
) -> None:
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme)
    event = {"type": "zone", "name": LONG, "label": LONG, "event": "enter", "inside": 1}

    def make(index: int) -> Result:
        return result(index, photo, (0, 1), events=(event,), counts=counts(LONG))

    with filming(view, make, fps=10):
        view.camera.now = SourceState(connected=True, problem=LONG * 3, dropped=10**9)
        visit(page, view)
        wait_for_status(page, "live")
        browsers.expect(page.locator("#last")).to_contain_text(LONG)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        browsers.expect(page.locator("#fps")).to_be_visible()


def test_the_token_is_asked_for_and_then_not_again(page: browsers.Page) -> None:
    with serving(token="a-token-that-is-long") as view, filming(view):
        visit(page, view)
        page.get_by_label("Token").fill("a-token-that-is-long")
        page.get_by_role("button").click()
        wait_for_status(page, "live")
        assert "token" not in page.url
        visit(page, view)
        wait_for_motion(page)


def test_names_from_outside_are_text_and_never_markup(page: browsers.Page, view: View) -> None:
    evil = '<img src=x onerror="document.title=1">'
    event = {"type": "line", "name": evil, "label": evil, "direction": evil}
    with filming(view, lambda index: result(index, events=(event,), counts=counts(evil))):
        visit(page, view)
        browsers.expect(page.locator("#last")).to_contain_text(evil)
        assert page.locator("img").count() == 1
        assert page.title() == "edge-passd"


def test_what_is_read_aloud_is_the_status_alone(page: browsers.Page, view: View) -> None:
    with filming(view):
        visit(page, view)
        wait_for_status(page, "live")
        assert page.locator("[aria-live]").count() == 1
        browsers.expect(page.get_by_role("status").first).to_have_text("live")
        browsers.expect(page.get_by_role("img", name="Live picture")).to_be_visible()
        browsers.expect(page.get_by_role("img", name="Latency")).to_be_visible()


def test_the_photo_on_the_page_is_the_photo(
    page: browsers.Page, view: View, photo: np.ndarray
) -> None:
    with filming(view, lambda index: result(index, photo, ()), fps=10):
        visit(page, view)
        wait_until(page, lambda: page.evaluate(BRIGHTNESS) >= 0)
        wait_for_status(page, "live")
        picture = page.locator("#picture").screenshot()
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    height, width = photo.shape[:2]
    scale = min(shown.shape[0] / height, shown.shape[1] / width)
    size = round(width * scale), round(height * scale)
    top, left = (shown.shape[0] - size[1]) // 2, (shown.shape[1] - size[0]) // 2
    inner = shown[top + 8 : top + size[1] - 8, left + 8 : left + size[0] - 8].astype(int)
    wanted = cv2.resize(photo, size)[8 : size[1] - 8, 8 : size[0] - 8]
    assert np.abs(inner - wanted[: inner.shape[0], : inner.shape[1]]).mean() < 8
