from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie

import pytest

from edge_passd.serve import site
from tests.serve.fakes import Answer, View, serving

TOKEN = "0123456789abcdefghij"


@pytest.fixture
def guarded() -> Iterator[View]:
    with serving(token=TOKEN) as view:
        yield view


PATHS = ("/", "/page.js", "/stream.mjpg", "/snapshot.jpg", "/events", "/healthz", "/metrics", "/x")


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(guarded: View, path: str) -> None:
    answer = guarded.get(path)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_page_asks_for_the_token(guarded: View) -> None:
    answer = guarded.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert 'name="token"' in answer.text
    assert guarded.get("/page.css").status == 200


@pytest.mark.parametrize(
    "value",
    [
        "Bearer wrong-wrong-wrong-wrong",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer schl\xfcssel",
        "Bearer " + "x" * 7000,
    ],
)
def test_a_wrong_header_is_refused(guarded: View, value: str) -> None:
    assert guarded.get("/metrics", Authorization=value).status == 401


@pytest.mark.parametrize(
    "value", ["", "wrong", "%00", "%ff%fe", "schl%C3%BCssel", "x" * 5000, TOKEN + "%20"]
)
def test_a_wrong_token_in_the_address_is_refused(guarded: View, value: str) -> None:
    answer = guarded.get(f"/?token={value}")
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


def test_guesses_wait_for_each_other_and_the_right_token_for_none(
    guarded: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "GUESS_S", 0.3)
    start = time.monotonic()
    guesses = [
        threading.Thread(target=guarded.get, args=(f"/?token=wrong-{index}",)) for index in range(4)
    ]
    for guess in guesses:
        guess.start()
    assert guarded.get("/metrics", Authorization=f"Bearer {TOKEN}").status == 200
    assert any(guess.is_alive() for guess in guesses)
    for guess in guesses:
        guess.join()
    assert time.monotonic() - start >= 4 * 0.3


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_right_header_opens(guarded: View, scheme: str) -> None:
    assert guarded.get("/metrics", Authorization=f"{scheme} {TOKEN}").status == 200
    assert guarded.get("/x", Authorization=f"{scheme} {TOKEN}").status == 404


def cookie_of(answer: Answer) -> SimpleCookie:
    return SimpleCookie(answer.headers["Set-Cookie"])


@pytest.mark.parametrize(
    ("path", "then"),
    [("/", "./"), ("/metrics", "./metrics"), ("//evil.example/", "./"), ("/x", "./")],
)
def test_the_token_in_the_address_becomes_a_cookie(guarded: View, path: str, then: str) -> None:
    answer = guarded.get(f"{path}?token={TOKEN}&a=b")
    assert (answer.status, answer.headers["Location"]) == (303, then)
    (cookie,) = cookie_of(answer).values()
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in answer.headers["Set-Cookie"]
    assert guarded.get("/", Cookie=f"{cookie.key}={cookie.value}").status == 200


def test_the_cookie_outlives_the_server_but_not_the_token(guarded: View) -> None:
    (cookie,) = cookie_of(guarded.get(f"/?token={TOKEN}")).values()
    header = f"{cookie.key}={cookie.value}"
    for token, status in ((TOKEN, 200), (TOKEN[::-1], 401)):
        with serving(token=token) as other:
            renamed = header.replace(str(guarded.port), str(other.port))
            assert other.get("/", Cookie=renamed).status == status


@pytest.mark.parametrize("value", ["wrong", TOKEN, "", '"', "\xff", "x" * 7000])
def test_a_wrong_cookie_is_refused(guarded: View, value: str) -> None:
    assert guarded.get("/", Cookie=f"edge_passd_{guarded.port}={value}").status == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:9000", 200),  # by ssh -L
        ("localhost:9000", 200),
        ("[::1]:9000", 200),
        ("LocalHost", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("192.168.1.5", 403),
        ("[::2]", 403),
        ("[::1", 403),
        ("", 403),
        ("x" * 1000, 403),
    ],
)
def test_without_a_token_only_a_name_of_this_machine_opens(
    view: View, host: str, status: int
) -> None:
    assert view.get("/", Host=host).status == status


def test_with_a_token_any_name_does(guarded: View) -> None:
    answer = guarded.get("/", Host="cam.example", Authorization=f"Bearer {TOKEN}")
    assert answer.status == 200


def test_pages_elsewhere_cannot_take_a_seat(view: View) -> None:
    assert view.get("/events", Sec_Fetch_Site="cross-site").status == 403
    assert view.get("/", Sec_Fetch_Site="cross-site").status == 200  # a link to it
    assert view.get("/healthz", Sec_Fetch_Site="same-origin").status == 503
