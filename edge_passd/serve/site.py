"""What is asked for, and the answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from edge_passd.serve.access import bearer, cookie_value, is_called_local, same
from edge_passd.serve.board import Board
from edge_passd.serve.connection import Connection, answer, stream
from edge_passd.serve.figures import LIVE, Figures
from edge_passd.serve.metrics import CONTENT_TYPE, metrics
from edge_passd.serve.options import ServeOptions
from edge_passd.serve.pictures import Picture, Pictures
from edge_passd.sources.source import SourceState

MOST_STREAMS, MOST_LISTENERS = 16, 32
EVENTS_S = 0.5
STUCK_S = 20.0  # a viewer who takes nothing for so long is cut off, and may come again
SNAPSHOT_S = 5.0  # to wait for a first picture
GUESS_S = 0.25  # between two wrong tokens, whoever sends them
_COOKIE_S = 30 * 24 * 3600
_BOUNDARY = "frame"
_RETRY_MS = 1000
_VIEWER = re.compile(r"[a-z0-9]{1,16}")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Site:
    """The pages of one live view.

    describe: what runs, as the page shows it. state: how the source fares; from any thread.
    """

    def __init__(
        self,
        options: ServeOptions,
        describe: Mapping[str, Any],
        state: Callable[[], SourceState],
        figures: Figures,
        pictures: Pictures,
    ) -> None:
        self._token = options.token
        self._cookie = f"edge_passd_{options.port}"  # cookies are shared by all ports of a host
        self._about = _event("about", dict(describe))
        self._state, self._figures, self._pictures = state, figures, pictures
        self._board = Board()
        self._streams: Counter[str] = Counter()  # of each viewer, by the name it gave itself
        self._listeners = 0
        self._guessing = asyncio.Lock()
        self._files = {path.name: path.read_bytes() for path in _FOLDER.iterdir()}
        self._handlers: dict[str, Handler] = {
            "/stream.mjpg": self._stream,
            "/snapshot.jpg": self._snapshot,
            "/events": self._events,
            "/healthz": self._health,
            "/metrics": self._metrics,
        }

    def close(self) -> None:
        """Let go of the board."""
        self._board.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a request that is HTTP."""
        if isinstance(request.protocol, Connection):
            request.protocol.has_arrived()
        if (refusal := _refusal(request)) is not None:
            return refusal
        if self._token is None:
            if not is_called_local(request.headers.get("Host")):
                return answer(403, "this page answers to localhost only; a token lifts that\n")
        elif (refusal := await self._ask_for(self._token, request)) is not None:
            return refusal
        if (handler := self._handlers.get(request.path)) is not None:
            return await handler(request)
        if (page := _PAGES.get(request.path)) is not None:
            return answer(200, self._files[page[0]], page[1])
        return answer(404, "no such page\n")

    async def _ask_for(self, token: str, request: web.BaseRequest) -> web.Response | None:
        """None for one who has the token; else the answer."""
        asked = request.query.get("token")
        if asked is not None and same(token, asked):
            return self._with_cookie(token, request.path)
        cookie, shown = request.cookies.get(self._cookie), bearer(request.headers)
        if cookie is not None and same(cookie_value(token), cookie):
            return None
        if shown is not None and same(token, shown):
            return None
        if (asked, cookie, shown) != (None, None, None):
            # One after the other: guessing on many connections at once is no faster.
            async with self._guessing:
                await asyncio.sleep(GUESS_S)
        headers = {"WWW-Authenticate": "Bearer"}
        # What a page is made of is no secret, and the page that asks for the token needs its style.
        if request.path == "/page.css":
            return None
        if request.path == "/":
            return answer(401, self._files["token.html"], "text/html", headers)
        return answer(
            401, "this needs the token, as Authorization: Bearer TOKEN\n", headers=headers
        )

    def _with_cookie(self, token: str, path: str) -> web.Response:
        known = path in self._handlers or path in _PAGES
        # Relative, so that it holds behind a proxy that serves the page under a path of its own.
        response = answer(303, "", headers={"Location": f".{path}" if known else "./"})
        response.set_cookie(
            self._cookie, cookie_value(token), max_age=_COOKIE_S, httponly=True, samesite="Strict"
        )
        return response

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._streams.total() >= MOST_STREAMS:
            return answer(503, f"{MOST_STREAMS} are watching already; close one of them\n")
        response = stream(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        boundary = f"--{_BOUNDARY}\r\n".encode()
        with _counted(self._streams, _viewer(request)):
            await _write(request, response, boundary)
            number = 0
            while True:
                picture = await self._pictures.newer_than(number)
                number = picture.number
                # The boundary after it at once: browsers show a picture when they see its end.
                await _write(request, response, _part(picture) + boundary)

    async def _snapshot(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            picture = await asyncio.wait_for(self._pictures.newer_than(0), SNAPSHOT_S)
        except asyncio.TimeoutError:
            return answer(503, "no picture yet\n")
        return answer(200, picture.jpeg, "image/jpeg")

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._listeners >= MOST_LISTENERS:
            return answer(503, f"{MOST_LISTENERS} are listening already; close one of them\n")
        response = stream("text/event-stream")
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        viewer = _viewer(request)
        self._listeners += 1
        try:
            await _write(request, response, f"retry: {_RETRY_MS}\n".encode() + self._about)
            while True:
                figures = self._now() | {
                    "board": await self._board.to_dict(),
                    "viewers": self._streams.total(),
                    "watching": self._streams[viewer] > 0,
                }
                await _write(request, response, _event("figures", figures))
                await asyncio.sleep(EVENTS_S)
        finally:
            self._listeners -= 1

    async def _health(self, request: web.BaseRequest) -> web.StreamResponse:
        now = self._now()
        shown = ("status", "problem", "frames", "age_s", "fps", "source")
        body = json.dumps({key: now[key] for key in shown}) + "\n"
        return answer(200 if now["status"] == LIVE else 503, body, "application/json")

    async def _metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        now, board = self._now(), await self._board.to_dict()
        text = metrics(now, board, self._state(), now["status"], self._streams.total())
        return answer(200, text, CONTENT_TYPE)

    def _now(self) -> dict[str, Any]:
        now_s, state = time.monotonic(), self._state()
        source = {
            "reconnects": state.reconnects,
            "frames": state.frames,
            "dropped": state.dropped,
        }
        status = self._figures.status(state, now_s)
        head = {"status": status, "problem": state.problem, "source": source}
        return head | self._figures.to_dict(now_s)


_FOLDER = Path(__file__).parent / "page"
_PAGES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def _refusal(request: web.BaseRequest) -> web.Response | None:
    """The answer to a request that is not one for this site, whoever sends it."""
    if request.method not in ("GET", "HEAD"):
        return answer(405, "only GET and HEAD\n", headers={"Allow": "GET, HEAD"})
    if request.body_exists:
        return answer(413, "a request here has no body\n")
    # A page elsewhere that embeds the stream: it could not read it, but it would take a seat.
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.path != "/":
        return answer(403, "not from another site\n")
    return None


def _viewer(request: web.BaseRequest) -> str:
    """The name that the page gave itself, so that its two connections know each other."""
    name = request.query.get("viewer", "")
    return name if _VIEWER.fullmatch(name) else ""


@contextmanager
def _counted(counter: Counter[str], name: str) -> Iterator[None]:
    counter[name] += 1
    try:
        yield
    finally:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]


async def _write(request: web.BaseRequest, response: web.StreamResponse, data: bytes) -> None:
    """Send, waiting while the viewer is behind; one who is stuck is cut off."""
    try:
        await asyncio.wait_for(response.write(data), STUCK_S)
    except asyncio.TimeoutError:
        if isinstance(request.protocol, Connection):
            request.protocol.abort()
        raise ConnectionResetError("the viewer does not read") from None


def _part(picture: Picture) -> bytes:
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n\r\n"
    return head.encode() + picture.jpeg + b"\r\n"


def _event(name: str, content: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n".encode()
