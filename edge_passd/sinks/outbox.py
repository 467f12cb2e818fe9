"""Messages to somewhere that may not answer: kept a while, tried again, never waited for."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, Thread

from edge_passd.sinks.record import json_line
from edge_passd.sinks.sink import Result, Write

WAITING = 256  # messages; with 30 a second, eight seconds of them
FLUSH_S = 3.0  # for what still waits at the end
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
# What the operating system, OpenSSL and urllib3 put around the reason.
_NOISE = re.compile(
    r"\[Errno -?\d+\] |\[SSL: \w+\] | \(_ssl\.c:\d+\)|\w+\(host=[^)]*\): |<[^>]*>:? ?"
    r"|Failed to establish a new connection: "
)


class NotDelivered(Exception):
    """One message did not arrive; the text says why, without credentials. It is tried again."""


def unreachable(error: Exception) -> NotDelivered:
    """What to raise where a connection failed; a library's objects and numbers are left out."""
    return NotDelivered(f"cannot be reached ({_NOISE.sub('', str(error))})")


class Refused(NotDelivered):
    """The other side does not want this message: it is dropped."""


# Delivers one message or raises NotDelivered.
Deliver = Callable[[bytes], None]


class Outbox:
    """A thread that delivers messages, oldest first.

    name: of the other side, without credentials. connect: a context, entered in that thread, that
    yields the function to deliver with. report: takes one line when the other side cannot be
    reached or refuses, and one when it is back. most: messages that wait; when there are more, the
    oldest is dropped. first_retry_s: until the next try, twice as long with each one after.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], AbstractContextManager[Deliver]],
        report: Callable[[str], object],
        most: int = WAITING,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self.dropped = 0
        self._name, self._connect, self._report = name, connect, report
        self._first_retry_s = first_retry_s
        self._messages: deque[bytes] = deque()
        self._most = most
        self._changed = Condition()
        self._closes_at: float | None = None
        self._is_in_trouble = False
        # A daemon: a name server that never answers must not keep the program alive.
        self._thread = Thread(target=self._run, name=f"outbox to {name}", daemon=True)
        self._thread.start()

    def put(self, message: bytes) -> None:
        """Take a message; returns at once."""
        with self._changed:
            if len(self._messages) == self._most:
                self._messages.popleft()
                self.dropped += 1
            self._messages.append(message)
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Deliver what waits, for so long at most; says what did not arrive."""
        with self._changed:
            self._closes_at = time.monotonic() + seconds
            self._changed.notify_all()
        self._thread.join(seconds + 0.5)
        lost = self.dropped + len(self._messages)
        if lost:
            what = "1 message was" if lost == 1 else f"{lost} messages were"
            self._report(f"{self._name}: {what} not delivered")

    def _run(self) -> None:
        wait_s = self._first_retry_s
        with self._connect() as deliver:
            while (message := self._oldest()) is not None:
                try:
                    deliver(message)
                except Refused as error:
                    self.dropped += 1
                    self._trouble(error)
                except NotDelivered as error:
                    self._trouble(error)
                    self._wait(wait_s)
                    wait_s = min(2 * wait_s, LAST_RETRY_S)
                    continue
                else:
                    self._no_trouble()
                wait_s = self._first_retry_s
                self._remove(message)

    def _oldest(self) -> bytes | None:
        """Stays in the queue until it is delivered; None when the time for that is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._closes_at is not None)
            is_over = self._closes_at is not None and time.monotonic() >= self._closes_at
            return None if is_over or not self._messages else self._messages[0]

    def _remove(self, message: bytes) -> None:
        with self._changed:
            # It may have been dropped meanwhile to make room.
            if self._messages and self._messages[0] is message:
                self._messages.popleft()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            if self._closes_at is None:
                self._changed.wait_for(lambda: self._closes_at is not None, seconds)
            else:  # little time is left, so tries follow each other quickly
                self._changed.wait_for(lambda: False, min(seconds, self._first_retry_s))

    def _trouble(self, error: NotDelivered) -> None:
        if not self._is_in_trouble:
            self._is_in_trouble = True
            self._report(f"{self._name} {error}; detection goes on")

    def _no_trouble(self) -> None:
        if self._is_in_trouble:
            self._is_in_trouble = False
            self._report(f"{self._name} is back")


@contextmanager
def sending(open_outbox: Callable[[], Outbox]) -> Iterator[Write]:
    """Put each result that holds a detection or an event into an outbox, as its JSON line.

    A frame in which nothing was found is no message: a camera would send dozens a second.
    """
    outbox = open_outbox()

    def write(result: Result) -> bool:
        if len(result.detections) or result.events:
            outbox.put(json_line(result))
        return True

    try:
        yield write
    finally:
        outbox.close(FLUSH_S)
