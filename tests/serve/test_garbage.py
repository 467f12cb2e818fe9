"""What is no HTTP, or too much of it: refused in few words, and the server goes on."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.fakes import View, result, serving

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
# What would tell of the inside: a traceback, a path, a version.
TELLTALE = re.compile(rb"Traceback|File \"|/usr|site-packages|\.py\b|[Aa]iohttp|Python")


@pytest.fixture(scope="module")
def target() -> Iterator[View]:
    with serving() as view:
        view.write(result())
        yield view


def send(view: View, data: bytes) -> bytes:
    """What comes back before the server closes; who only half asks hangs up."""
    with view.raw() as connection:
        connection.settimeout(0.1)
        answer = b""
        try:
            connection.sendall(data)
            while chunk := connection.recv(65536):
                answer += chunk
                if len(answer) > 100_000:
                    break
        except (TimeoutError, ConnectionError):
            pass
    return answer


def check(view: View, data: bytes) -> None:
    answer = send(view, data)
    status = STATUS.match(answer)
    assert answer == b"" or (status and int(status[1]) < 500)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert not TELLTALE.search(head)
    if status and int(status[1]) >= 400:
        assert not TELLTALE.search(body)
        assert len(body) < 2000
        assert b"Server: edge-passd\r\n" in head + b"\r\n"
    assert view.get("/").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"get / http/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%ff%00%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /?viewer=%00&viewer=%ff&token=x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b'GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ;;=;=;a"\xff\r\n\r\n',
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500,
    ],
)
def test_named_nonsense(target: View, data: bytes) -> None:
    check(target, data)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from([b"GET", b"HEAD", b"POST", b"\xffET", b""]),
    path=st.sampled_from([b"/", b"/snapshot.jpg", b"/healthz", b"/metrics"])
    | st.binary(max_size=40),
    headers=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=30)), max_size=4),
    end=st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b""]),
)
def test_requests_of_any_bytes(
    target: View, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], end: bytes
) -> None:
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: localhost"]
    check(target, b"\r\n".join([*lines, *(b": ".join(each) for each in headers)]) + end)


def test_a_good_request_with_a_few_bytes_changed(target: View) -> None:
    chance = random.Random(0)
    good = b"GET /snapshot.jpg HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\nAccept: */*\r\n\r\n"
    for _ in range(40):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        check(target, bytes(data[: chance.randint(1, len(data))]))
