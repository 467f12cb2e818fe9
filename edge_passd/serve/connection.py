"""One connection: what bounds it, and how it says no to what is not HTTP."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

MOST_CONNECTIONS = 64
REQUEST_S = 10.0  # for a request to be there as a whole; those who dribble it byte by byte go
_LONGEST = 8190  # bytes of the request line and of each header; cookies of other ports come along
_MOST_HEADERS = 64
NAME = "edge-passd"  # and no version: it would tell which flaws to try
_NO_LOG = logging.Logger("no log of accesses", logging.CRITICAL)
_HEADERS = {
    "Server": NAME,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


class Connection(web.RequestHandler):
    """A connection of one request: keeping it open would save little and need more bounds."""

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=_NO_LOG,
            lingering_time=0,
            max_line_size=_LONGEST,
            max_field_size=_LONGEST,
            max_headers=_MOST_HEADERS,
        )
        self._server, self._clock = server, loop
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = self._clock.call_later(REQUEST_S, self.abort)
        if len(self._server.connections) > MOST_CONNECTIONS:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.has_arrived()
        super().connection_lost(exc)

    def has_arrived(self) -> None:
        """The request is there; from now on it may take as long as it does."""
        if self._deadline:
            self._deadline.cancel()

    def abort(self) -> None:
        """Close at once: to close in order would wait for a viewer who does not read."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, or to a flaw of ours, which goes to the log."""
        self.has_arrived()
        if status >= 500:
            self.log_exception("live view", exc_info=exc)
        if request.writer.output_size > 0:  # in the middle of a stream
            raise ConnectionError("the answer has begun")
        return answer(status, "not a request\n" if status < 500 else "an error; see the log\n")


def answer(
    status: int, body: str | bytes, kind: str = "text/plain", headers: dict[str, str] | None = None
) -> web.Response:
    """A whole answer; the connection ends with it."""
    content = body.encode() if isinstance(body, str) else body
    response = web.Response(status=status, body=content, headers=_all_headers(kind, headers))
    response.force_close()
    return response


def stream(kind: str) -> web.StreamResponse:
    """An answer to be written bit by bit."""
    # A proxy in between is to hand each picture on as it comes.
    response = web.StreamResponse(headers=_all_headers(kind, {"X-Accel-Buffering": "no"}))
    response.force_close()
    return response


def _all_headers(kind: str, headers: dict[str, str] | None) -> dict[str, Any]:
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    return _HEADERS | {"Content-Type": kind + charset} | (headers or {})
