"""Results to a web address, with urllib3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlunsplit

from edge_passd.errors import BadInput
from edge_passd.sinks.address import split_url
from edge_passd.sinks.outbox import Deliver, NotDelivered, Outbox, Refused, sending, unreachable
from edge_passd.sinks.sink import Sink

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_CONNECT_S, _ANSWER_S = 3.0, 5.0
_MOST_BYTES = 65_536  # of an answer that nobody reads; behind them the connection is given up
# The server has a bad moment, or wants us to slow down; every other refusal is for good.
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Address:
    """Where to post. name: without user, path and query, where services keep their secrets."""

    name: str
    url: str = field(repr=False)
    credentials: str = field(default="", repr=False)  # user:password


def parse_address(url: str) -> Address:
    """The parts of http[s]://[user:password@]host[:port]/path; BadInput if it is none."""
    parts = split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("--webhook: this is no web address; give http[s]://host[:port]/path")
    host = parts.netloc.rpartition("@")[2]
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".strip(":")
    return Address(f"{parts.scheme}://{host}", urlunsplit(parts._replace(netloc=host)), credentials)


def webhook(url: str, report: Callable[[str], object]) -> Sink:
    """POST each result with something in it, as application/json.

    What the server has no time for (429, 500, 503 and the like) or no connection for is tried
    again; what it refuses is dropped. Redirects are not followed.
    Raises BadInput for a bad URL or without urllib3.
    """
    address = parse_address(url)
    try:
        import urllib3  # noqa: F401
    except ModuleNotFoundError as error:
        raise BadInput('--webhook needs urllib3: pip install "edge-passd[live]"') from error
    return sending(lambda: Outbox(address.name, lambda: _posting(address), report))


@contextmanager
def _posting(address: Address) -> Iterator[Deliver]:
    from urllib3 import PoolManager, Timeout, make_headers
    from urllib3.exceptions import HTTPError

    headers = {"Content-Type": "application/json"}
    if address.credentials:
        headers |= make_headers(basic_auth=address.credentials)
    pool = PoolManager(num_pools=1, timeout=Timeout(connect=_CONNECT_S, read=_ANSWER_S))

    def deliver(message: bytes) -> None:
        try:
            # The outbox tries again, and knows when to stop; urllib3 would not.
            answer = pool.request(
                "POST", address.url, body=message, headers=headers, retries=False,
                redirect=False, preload_content=False,
            )  # fmt: skip
            _leave(answer)
        except HTTPError as error:
            raise unreachable(error) from error
        if answer.status in _TRY_AGAIN:
            raise NotDelivered(f"answers {answer.status}")
        if 300 <= answer.status < 400:
            raise Refused(f"answers {answer.status}: redirects are not followed, name their end")
        if not 200 <= answer.status < 300:
            raise Refused(f"answers {answer.status}; what it refuses is not sent again")

    with pool:
        yield deliver


def _leave(answer: BaseHTTPResponse) -> None:
    """Make the connection free for the next message, unless the answer is a long one."""
    answer.read(_MOST_BYTES)
    if answer.read(1):
        answer.close()
    else:
        answer.release_conn()
