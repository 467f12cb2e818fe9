"""Work in a child process: what crashes or hangs there does not take the doctor with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from edge_passd.engines.base import reason

MOST_DEATHS = 2  # of children for one series of calls; what is left then is not tried

_PATIENCE_S = 2.0

# Not forked: what the parent has loaded must not be what is tried.
_context = get_context("spawn")


@dataclass(frozen=True)
class Call:
    """A function that a child can import by its name, and arguments that can be pickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """value: what the call returned. problem: "" or why it did not return, in one line.

    died: whether it took its process with it, or was ended for its slowness.
    """

    value: Any
    problem: str = ""
    died: bool = False


def call(function: Callable[..., Any], *arguments: Any, limit_s: float) -> Outcome:
    """One call in a child of its own."""
    return next(iter(series([Call(function, arguments)], limit_s)))


def series(calls: Sequence[Call], limit_s: float) -> Iterator[Outcome]:
    """The outcomes of calls in one child, in their order; after a death in the next child.

    limit_s: seconds for each call.
    """
    left, deaths = list(calls), 0
    while left and deaths < MOST_DEATHS:
        receiver, sender = _context.Pipe(duplex=False)
        process = _context.Process(target=_work, args=(sender, left), daemon=True)
        try:
            process.start()
        except OSError as error:  # no memory for it, or too many processes
            yield from (Outcome(None, f"no process for it: {error.strerror}") for _ in left)
            return
        sender.close()  # so that the child's death is the end of the pipe
        try:
            while left:
                outcome = _receive(receiver, process, limit_s)
                left.pop(0)
                yield outcome
                if outcome.died:
                    deaths += 1
                    break
        finally:
            process.kill()
            process.join(_PATIENCE_S)  # what a broken driver holds does not even die
            receiver.close()
    for _ in left:
        yield Outcome(None, "not tried after the crashes before")


def _receive(receiver: Connection, process: Any, limit_s: float) -> Outcome:
    if not receiver.poll(limit_s):
        return Outcome(None, f"no answer within {limit_s:g} s", died=True)
    try:
        return receiver.recv()
    except EOFError:
        process.join(_PATIENCE_S)
        return Outcome(None, f"crashed ({_end(process.exitcode)})", died=True)


def _end(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    return signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"


def _work(sender: Connection, calls: Sequence[Call]) -> None:
    """In the child: run the calls; silent, and not interrupted by the parent's Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for each in calls:
        sender.send(_outcome(each))


def _outcome(each: Call) -> Outcome:
    try:
        return Outcome(each.function(*each.arguments))
    except Exception as error:  # whatever a library raises is what we are here to learn
        return Outcome(None, reason(error))
