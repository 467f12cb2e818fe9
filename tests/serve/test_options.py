from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from edge_passd.errors import BadInput
from edge_passd.serve import ServeOptions, live_view, new_token
from tests.serve.fakes import ABOUT, Camera, free_port, serving

TOKEN = "a-token-of-32-characters-or-more"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST."])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert ServeOptions(8080, host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "board.local", "localhost.evil"])
def test_a_host_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(BadInput, match="needs a token"):
        ServeOptions(8080, host)
    assert ServeOptions(8080, host, TOKEN).token == TOKEN


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 257, "with space" * 3, "schlüssel" * 3, "a\n" * 9]
)
def test_a_token_that_is_weak_or_fits_no_header_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="16 to 256 characters") as error:
        ServeOptions(8080, token=token)
    assert not token or token not in str(error.value)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("::1", "http://[::1]:8080/"),
        ("0.0.0.0", f"http://{socket.gethostname()}:8080/"),
        ("::", f"http://{socket.gethostname()}:8080/"),
    ],
)
def test_the_address_is_one_that_a_browser_takes(host: str, url: str) -> None:
    assert ServeOptions(8080, host, TOKEN).url == url


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(BadInput, match=f"port {port}"):
        ServeOptions(port)


def test_new_tokens_differ_and_are_taken() -> None:
    tokens = {new_token() for _ in range(20)}
    assert len(tokens) == 20
    for token in tokens:
        ServeOptions(8080, "0.0.0.0", token)


def test_the_token_does_not_show_in_what_a_log_would_print() -> None:
    assert TOKEN not in repr(ServeOptions(8080, token=TOKEN))


def enter(options: ServeOptions) -> None:
    with live_view(options, ABOUT, Camera().state):
        pass


def test_a_port_in_use_is_one_line_and_leaves_the_other_alone() -> None:
    with serving() as view:
        with pytest.raises(BadInput, match=f"port {view.port} is in use"):
            enter(ServeOptions(view.port))
        assert view.get("/").status == 200


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("no-such-host.invalid", "not known"),
        ("x" * 300, "not known"),
        ("192.0.2.7", "no address of this machine"),  # of a net for documentation
    ],
)
def test_a_host_that_is_not_here_is_one_line(host: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        enter(ServeOptions(free_port(), host, TOKEN))


def test_a_port_that_only_root_may_use_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, who may use it.
    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BadInput, match="port 80: no right to use it"):
        enter(ServeOptions(80))


def test_without_aiohttp_the_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(BadInput, match=r'pip install "edge-passd\[live\]"'):
        live_view(ServeOptions(8080), ABOUT, Camera().state)


def test_importing_it_does_not_load_the_server() -> None:
    code = "import sys, edge_passd.serve; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
