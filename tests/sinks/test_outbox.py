"""Messages to someone who does not answer: bounded, ordered, never waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edge_passd.sinks import outbox as outbox_module
from edge_passd.sinks.outbox import Deliver, NotDelivered, Outbox, Refused, sending
from tests.sinks.results import result


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


class Server:
    """Does what `answer` says with each message."""

    def __init__(self, answer: Callable[[bytes], None] = lambda message: None) -> None:
        self.answer = answer
        self.got: list[bytes] = []

    @contextmanager
    def connect(self) -> Iterator[Deliver]:
        def deliver(message: bytes) -> None:
            self.answer(message)
            self.got.append(message)

        yield deliver


def outbox(server: Server, said: list[str], most: int = 256) -> Outbox:
    return Outbox("the server", server.connect, said.append, most, first_retry_s=0.01)


def numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def away(message: bytes) -> None:
    raise NotDelivered("is away")


def test_messages_arrive_in_order() -> None:
    server, said = Server(), []
    box = outbox(server, said)
    for message in numbers(100):
        box.put(message)
    box.close(5)
    assert server.got == numbers(100)
    assert said == []


def test_an_outage_is_said_once_and_so_is_its_end_and_nothing_is_lost() -> None:
    server, said = Server(away), []
    box = outbox(server, said)
    for message in numbers(10):
        box.put(message)
    wait_for(lambda: bool(said))
    time.sleep(0.1)
    server.answer = lambda message: None
    wait_for(lambda: len(server.got) == 10)
    box.close(5)
    assert server.got == numbers(10)
    assert said == ["the server is away; detection goes on", "the server is back"]


def test_when_there_is_no_room_the_oldest_go() -> None:
    server, said = Server(away), []
    box = outbox(server, said, most=5)
    for message in numbers(1000):
        box.put(message)
    server.answer = lambda message: None
    box.close(5)
    # The one that was on its way when it was dropped may arrive all the same.
    assert server.got[-5:] == numbers(1000)[-5:]
    assert len(server.got) <= 6
    assert box.dropped == 995
    assert said[-1] == "the server: 995 messages were not delivered"


def test_what_is_refused_is_not_sent_again() -> None:
    def answer(message: bytes) -> None:
        if message == b"1":
            raise Refused("does not want it")

    server, said = Server(answer), []
    box = outbox(server, said)
    for message in numbers(3):
        box.put(message)
    box.close(5)
    assert server.got == [b"0", b"2"]
    assert said[0] == "the server does not want it; detection goes on"
    assert said[-1] == "the server: 1 message was not delivered"


def test_the_other_side_may_hang_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FLUSH_S", 0.5)
    released = threading.Event()
    server, said = Server(lambda message: released.wait(30) and None), []
    start = time.monotonic()
    with sending(lambda: outbox(server, said, most=4)) as write:
        for index in range(500):
            assert write(result(index))
        assert time.monotonic() - start < 5
        start = time.monotonic()
    assert time.monotonic() - start < 6  # the flush at the end is bounded
    released.set()
    assert said == ["the server: 500 messages were not delivered"]


def test_the_end_of_a_long_outage_is_bounded_too() -> None:
    server, said = Server(away), []
    box = outbox(server, said)
    box.put(b"0")
    start = time.monotonic()
    box.close(0.2)
    assert time.monotonic() - start < 5
    assert said[-1] == "the server: 1 message was not delivered"


@pytest.mark.parametrize(
    ("dogs", "events", "sent"),
    [(1, (), True), (0, ({"type": "zone"},), True), (0, (), False)],
)
def test_only_frames_with_something_in_them_are_sent(dogs: int, events: tuple, sent: bool) -> None:
    server = Server()
    with sending(lambda: outbox(server, [])) as write:
        write(result(dogs=dogs, events=events))
    assert len(server.got) == sent
