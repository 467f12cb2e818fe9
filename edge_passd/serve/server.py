"""The live view as a sink: a web server in a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Thread
from typing import Any

from edge_passd.errors import BadInput
from edge_passd.serve.figures import Figures
from edge_passd.serve.listen import listen
from edge_passd.serve.options import ServeOptions
from edge_passd.sinks.sink import Result, Sink, Write
from edge_passd.sources.source import SourceState

_START_S, _JOIN_S = 10.0, 5.0


def live_view(
    options: ServeOptions, describe: Mapping[str, Any], state: Callable[[], SourceState]
) -> Sink:
    """A page at `options.host` and `options.port` that shows each result; it stops with the sink.

    describe: plain values that the page shows: model, engine, precision, classes, source. state:
    how the source fares now; called from another thread. Writing hands the newest result over and
    returns at once; pictures are encoded while somebody watches. Raises BadInput without aiohttp
    here, for a host or port that cannot be had when entered.
    """
    if find_spec("aiohttp") is None:
        raise BadInput('the live view needs aiohttp: pip install "edge-passd[live]"')
    return _live_view(options, describe, state)


@contextmanager
def _live_view(
    options: ServeOptions, describe: Mapping[str, Any], state: Callable[[], SourceState]
) -> Iterator[Write]:
    from edge_passd.serve.loop import Running, serve

    figures = Figures()
    started: Future[Running] = Future()
    with listen(options.host, options.port) as listener:
        work = serve(listener, options, describe, state, figures, started)
        # A daemon: whatever holds it up must not keep the program alive.
        thread = Thread(target=asyncio.run, args=(work,), name="live view", daemon=True)
        thread.start()
        running = started.result(_START_S)

        def write(result: Result) -> bool:
            figures.add(result, time.monotonic())
            running.pictures.offer(result)
            return True

        try:
            yield write
        finally:
            running.loop.call_soon_threadsafe(running.stop.set)
            thread.join(_JOIN_S)
