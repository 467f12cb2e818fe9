"""Many viewers, slow viewers, and the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest

from edge_passd.serve import connection, pictures, site
from edge_passd.sinks.sink import Result
from tests.serve.fakes import PATIENCE_S, View, eventually, filming, read_pictures, result, serving

NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)  # large as a JPEG


def noise(index: int) -> Result:
    return result(index, NOISE.copy())


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_one_who_never_reads_holds_up_nobody_and_takes_no_memory(view: View) -> None:
    with view.raw() as sleeper, filming(view, noise), view.open("/stream.mjpg") as stream:
        sleeper.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_pictures(stream, 10)
        before = resident_mb()
        read_pictures(stream, 60)  # some 20 MB
        assert resident_mb() - before < 10


def test_one_who_never_reads_is_cut_off(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "STUCK_S", 0.3)
    with view.raw() as sleeper, filming(view, noise):
        sleeper.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: "edge_passd_viewers 1" in view.get("/metrics").text)
        eventually(lambda: "edge_passd_viewers 0" in view.get("/metrics").text)


def test_writing_returns_though_the_server_stands_still(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands, goes_on = threading.Event(), threading.Event()

    def stand_still(*_: object) -> dict[str, object]:
        stands.set()
        goes_on.wait(10)
        return {"status": "live", "problem": "", "source": {}, "frames": 0, "age_s": 0, "fps": 0}

    monkeypatch.setattr(site.Site, "_now", stand_still)  # in the server's own thread
    asking = threading.Thread(target=view.get, args=("/healthz",))
    asking.start()
    assert stands.wait(10)
    before = resident_mb()
    for index in range(500):
        view.write(noise(index))  # 460 MB, were they kept
    assert resident_mb() - before < 50
    goes_on.set()
    asking.join(10)
    assert not asking.is_alive()


def test_a_picture_is_encoded_once_for_all_and_only_while_somebody_watches(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode = pictures.encode

    def count(picture: np.ndarray) -> bytes:
        encoded.append(threading.get_ident())
        return encode(picture)

    monkeypatch.setattr(pictures, "encode", count)
    for index in range(5):
        view.write(result(index))
    assert view.get("/healthz").status == 200
    assert encoded == []
    with ExitStack() as stack:
        streams = []
        for _ in range(4):
            streams.append(stack.enter_context(view.open("/stream.mjpg")))
            read_pictures(streams[-1], 1)
        for index in range(5, 10):
            view.write(result(index))
            for stream in streams:
                read_pictures(stream, 1)
    assert len(encoded) == 6  # the one before they came, and five
    assert threading.get_ident() not in encoded
    eventually(lambda: "edge_passd_viewers 0" in view.get("/metrics").text)
    view.write(result(10))
    assert view.get("/healthz").status == 200
    assert len(encoded) == 6


def test_the_seats_are_counted_and_given_back(view: View) -> None:
    view.write(result())
    with ExitStack() as stack:
        for _ in range(site.MOST_STREAMS):
            stack.enter_context(view.open("/stream.mjpg"))
        answer = view.get("/stream.mjpg")
        assert (answer.status, answer.text) == (503, "16 are watching already; close one of them\n")
        assert view.get("/snapshot.jpg").status == 200
    eventually(lambda: "edge_passd_viewers 0" in view.get("/metrics").text)
    with view.open("/stream.mjpg") as stream:
        read_pictures(stream, 1)


def test_connections_are_bounded(view: View) -> None:
    with ExitStack() as stack:
        for _ in range(connection.MOST_CONNECTIONS):
            stack.enter_context(view.raw())
        one_more = stack.enter_context(view.raw())
        one_more.settimeout(connection.REQUEST_S / 2)  # sooner than any is closed for its silence
        assert all_closed([one_more])
    eventually(lambda: is_served(view))


def test_connections_that_ask_nothing_are_closed(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.5)
    with ExitStack() as stack:
        idle = [stack.enter_context(view.raw()) for _ in range(6)]
        for each in idle:
            each.settimeout(0.2)
        for each in idle[::2]:
            each.sendall(b"GET / HTTP/1.1\r\nX-")  # and never the rest
        eventually(lambda: all_closed(idle))
    assert view.get("/").status == 200


def is_served(view: View) -> bool:
    """Once more: the server hears of closed connections a moment later."""
    try:
        return view.get("/").status == 200
    except ConnectionError:
        return False


def all_closed(sockets: list[socket.socket]) -> bool:
    for each in sockets:
        try:
            if each.recv(1):
                return False
        except ConnectionResetError:
            continue
        except TimeoutError:
            return False
    return True


def test_it_ends_at_once_though_viewers_are_there_and_leaves_nothing() -> None:
    before = set(threading.enumerate())
    with ExitStack() as stack:
        with serving() as view, filming(view, noise):
            sleeper = stack.enter_context(view.raw())
            sleeper.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            stack.enter_context(view.raw()).sendall(b"GET /half")
            streams = [stack.enter_context(view.open("/stream.mjpg")) for _ in range(3)]
            events = stack.enter_context(view.open("/events"))
            for stream in streams:
                read_pictures(stream, 2)
            events.readline()
            start = time.monotonic()
        assert time.monotonic() - start < 3
        assert set(threading.enumerate()) == before
        with serving(view.port) as again:  # the port is free again
            assert again.get("/").status == 200


RUN = """
import time
from edge_passd.sinks.sink import Result
from tests.serve.fakes import result, serving
with serving(port={port}) as view:
    print("serving", flush=True)
    for index in range(10000):
        view.write(result(index))
        time.sleep(0.01)
"""


def test_ctrl_c_ends_it_without_a_word_of_its_own() -> None:
    with serving() as view:
        pass  # the child takes its port
    child = subprocess.Popen(
        [sys.executable, "-W", "default", "-c", RUN.format(port=view.port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout
    assert child.stdout.readline() == "serving\n"
    with view.open("/stream.mjpg") as stream, view.open("/events"):
        read_pictures(stream, 2)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=PATIENCE_S)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    for word in ("Task", "never", "ResourceWarning", "asyncio", "live view"):
        assert word not in errors
