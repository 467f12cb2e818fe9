"""The web server in its event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from edge_passd.serve.connection import Connection
from edge_passd.serve.figures import Figures
from edge_passd.serve.options import ServeOptions
from edge_passd.serve.pictures import Pictures
from edge_passd.serve.site import Site
from edge_passd.sources.source import SourceState

_END_S = 0.5  # for answers under way to notice that they are cut off


@dataclass(frozen=True)
class Running:
    """What other threads may use: `loop` by call_soon_threadsafe, `pictures` by offer."""

    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    pictures: Pictures


async def serve(
    listener: socket.socket,
    options: ServeOptions,
    describe: Mapping[str, Any],
    state: Callable[[], SourceState],
    figures: Figures,
    started: Future[Running],
) -> None:
    """Serve until `stop` is set; `started` tells when it began, or why it did not."""
    loop = asyncio.get_running_loop()
    pictures, stop = Pictures(loop), asyncio.Event()
    try:
        site = Site(options, describe, state, figures, pictures)
        # Cancels an answer whose viewer has gone.
        requests = web.Server(site.answer, handler_cancellation=True)
        server = await loop.create_server(lambda: Connection(requests, loop), sock=listener)
    except Exception as error:
        started.set_exception(error)
        return
    started.set_result(Running(loop, stop, pictures))
    await stop.wait()
    server.close()
    for connection in requests.connections:
        if isinstance(connection, Connection):
            connection.abort()
    await requests.shutdown(_END_S)
    site.close()
