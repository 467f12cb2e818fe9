"""Webhooks, with a real server that behaves in every way."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edge_passd.errors import BadInput
from edge_passd.sinks import outbox
from edge_passd.sinks import webhook as webhook_module
from edge_passd.sinks.webhook import parse_address, webhook
from tests.sinks.broker import free_port
from tests.sinks.results import result
from tests.sinks.test_outbox import wait_for


class Server(ThreadingHTTPServer):
    """Answers with the statuses in turn, then with 200.

    slow: seconds before each answer. endless: the answer's body has no end.
    """

    daemon_threads = True

    def __init__(self, *statuses: int, slow: float = 0.0, endless: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = list(statuses)
        self.slow, self.endless = slow, endless
        self.closing = threading.Event()
        self.requests: list[tuple[str, Message, dict]] = []
        self.connections: set[tuple] = set()

    def handle_error(self, *_: object) -> None:
        """A client that has left is part of the play."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?key=hidden"

    def frames(self) -> list[int]:
        return [body["frame"] for _, _, body in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.connections.add(self.client_address)
        self.server.requests.append((self.path, self.headers, body))
        self.server.closing.wait(self.server.slow)
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        if self.server.endless:
            self.end_headers()
            while not self.server.closing.is_set():
                self.wfile.write(b"x" * 10_000)
        else:
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    do_GET = do_POST

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A function that starts a `Server`; tries follow each other soon."""
    monkeypatch.setattr(outbox, "FLUSH_S", 1.0)
    monkeypatch.setattr(outbox, "LAST_RETRY_S", 0.1)
    running: list[Server] = []

    def start(*statuses: int, **options: float) -> Server:
        server = Server(*statuses, **options)  # type: ignore[arg-type]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.closing.set()
        server.shutdown()
        server.server_close()


def test_what_is_found_is_posted_as_the_json_line_on_one_connection(serve) -> None:
    server = serve()
    with webhook(server.url, pytest.fail) as write:
        for index in range(10):
            write(result(index, dogs=index % 2))
    assert server.frames() == [1, 3, 5, 7, 9]
    path, headers, body = server.requests[0]
    assert path == "/hook?key=hidden"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert body["schema"] == 1
    assert len(server.connections) == 1


def test_a_password_in_the_url_goes_into_a_header_and_nowhere_else(serve) -> None:
    server, said = serve(503), []
    with webhook(server.url.replace("//", "//me:s3cret@"), said.append) as write:
        write(result())
    expected = base64.b64encode(b"me:s3cret").decode()
    assert server.requests[0][1]["Authorization"] == f"Basic {expected}"
    assert "s3cret" not in "".join(said)
    assert "hidden" not in "".join(said)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_bad_moment_is_waited_out_and_said_once(serve, status: int) -> None:
    server, said = serve(status, status), []
    with webhook(server.url, said.append) as write:
        write(result(0))
        write(result(1))
    name = server.url.partition("/hook")[0]
    assert server.frames() == [0, 0, 0, 1]
    assert said == [f"{name} answers {status}; detection goes on", f"{name} is back"]


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "is not sent again"), (302, "redirects are not followed")]
)
def test_a_refusal_is_for_good(serve, status: int, reason: str) -> None:
    server, said = serve(status), []
    with webhook(server.url, said.append) as write:
        write(result(0))
        write(result(1))
    assert server.frames() == [0, 1]
    assert f"answers {status}" in said[0]
    assert reason in said[0]
    assert said[-1].endswith("1 message was not delivered")


def test_a_server_that_hangs(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_module, "_ANSWER_S", 0.1)
    server, said = serve(slow=20.0), []
    with webhook(server.url, said.append) as write:
        write(result(0))
        wait_for(lambda: bool(said))
        server.slow = 0.0
        wait_for(lambda: len(said) == 2)
    assert "timed out" in said[0]
    assert said[1].endswith(" is back")


def test_an_answer_without_end_is_left_alone(serve) -> None:
    server = serve(endless=True)
    with webhook(server.url, pytest.fail) as write:
        write(result(0))
        write(result(1))
    assert server.frames() == [0, 1]


@pytest.mark.usefixtures("serve")
def test_nobody_at_that_port() -> None:
    said: list[str] = []
    with webhook(f"http://127.0.0.1:{free_port()}/hook", said.append) as write:
        write(result())
    assert said[0].endswith(" cannot be reached (Connection refused); detection goes on")
    assert said[1].endswith("1 message was not delivered")


@pytest.mark.parametrize(
    ("url", "name", "target", "credentials"),
    [
        ("http://host/a?b=c", "http://host", "http://host/a?b=c", ""),
        ("https://u:p%40@host:8443/a", "https://host:8443", "https://host:8443/a", "u:p@"),
        ("https://[::1]/a", "https://[::1]", "https://[::1]/a", ""),
    ],
)
def test_urls(url: str, name: str, target: str, credentials: str) -> None:
    address = parse_address(url)
    assert (address.name, address.url, address.credentials) == (name, target, credentials)
    assert repr(address) == f"Address(name={name!r})"


@pytest.mark.parametrize(
    "url",
    ["", "host/a", "ftp://host/a", "http://", "http:///a", "http://h:0/", "http://h:x/",
     "http://h:99999/", "http://[h/", "http://h/a b", "http://h/a\nb", "http://u:hidden@/"],
)  # fmt: skip
def test_bad_urls_are_one_line(url: str) -> None:
    with pytest.raises(BadInput, match="no web address") as caught:
        parse_address(url)
    assert "hidden" not in str(caught.value)
