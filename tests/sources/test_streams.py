"""Streams from real servers on loopback, killed and started again."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_passd.errors import BadInput
from edge_passd.sources.open import open_source
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.source import Frame, Source
from tests.programs import require_program
from tests.sources.mjpeg_server import MjpegServer

PATIENCE_S = 15.0
QUICK = CameraOptions(timeout_s=2.0)

Jpeg = Callable[[int, int], bytes]
StartMjpeg = Callable[..., MjpegServer]


def take(frames: Iterator[Frame], is_wanted: Callable[[Frame], bool] = lambda _: True) -> Frame:
    """The next wanted frame."""
    deadline = time.monotonic() + PATIENCE_S
    for frame in frames:
        if is_wanted(frame):
            return frame
        assert time.monotonic() < deadline
    raise AssertionError("the source ended")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_mjpeg_over_http(mjpeg_server: StartMjpeg, jpeg: Jpeg) -> None:
    server = mjpeg_server([jpeg(96, 64)])
    url = server.url.replace("//", "//me:secret@") + "?user=me&password=secret&channel=1"
    with open_source(url, camera_options=QUICK) as source:
        frames = iter(source)
        first, second = take(frames), take(frames)
    assert first.image.shape == (64, 96, 3)
    assert first.source == f"{server.url}?user=***&password=***&channel=1"
    assert second.index > first.index
    assert second.captured_s is not None
    assert second.captured_s <= time.monotonic()
    assert source.live


@pytest.mark.usefixtures("quick")
def test_a_server_that_is_killed_and_comes_back_with_another_size(
    mjpeg_server: StartMjpeg, jpeg: Jpeg
) -> None:
    server = mjpeg_server([jpeg(96, 64)])
    reports: list[str] = []
    with open_source(server.url, reports.append, QUICK) as source:
        frames = iter(source)
        take(frames)
        server.stop()
        wait_for_problem(source)
        mjpeg_server([jpeg(128, 80)], server.port)
        back = take(frames, lambda frame: frame.image.shape[1] == 128)
        assert back.image.shape == (80, 128, 3)
        state = source.state()
    assert (state.connected, state.reconnects, state.problem) == (True, 1, "")
    assert len(reports) == 2
    assert "trying again" in reports[0]
    assert "back after" in reports[1]


def wait_for_problem(source: Source) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not source.state().problem:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("quick")
def test_a_frozen_server_is_left_for_a_new_connection(mjpeg_server: StartMjpeg, jpeg: Jpeg) -> None:
    server = mjpeg_server([jpeg(96, 64)])
    reports: list[str] = []
    with open_source(server.url, reports.append, CameraOptions(timeout_s=0.5)) as source:
        frames = iter(source)
        take(frames)
        server.frozen.set()
        thaw = threading.Timer(1.5, server.frozen.clear)
        thaw.start()
        time.sleep(0.1)
        last = source.state().frames
        take(frames, lambda frame: frame.index > last)
        assert source.state().reconnects == 1
    thaw.join()
    assert len(reports) == 2
    assert "no frame for 0.5 s" in reports[0] or "ended" in reports[0]


def test_broken_pictures_and_changing_sizes_do_not_end_a_stream(
    mjpeg_server: StartMjpeg, jpeg: Jpeg
) -> None:
    good, large = jpeg(96, 64), jpeg(128, 80)
    noise = bytes(range(256)) * 4
    server = mjpeg_server(
        [good, good[: len(good) // 2], good, b"\xff\xd8" + noise, b"", large, good[:300] + noise]
    )
    reports: list[str] = []
    with open_source(server.url, reports.append, QUICK) as source:
        frames = iter(source)
        for _ in range(40):
            take(frames)
    assert reports == []


@pytest.mark.usefixtures("quick")
def test_reconnecting_leaves_nothing_behind(mjpeg_server: StartMjpeg, jpeg: Jpeg) -> None:
    server = mjpeg_server([jpeg(96, 64)])
    with open_source(server.url, lambda _: None, QUICK) as source:
        frames = iter(source)
        # The first few make OpenCV's and Python's own pools.
        counts = []
        for reconnects in range(21):
            take(frames, lambda _, so_far=reconnects: source.state().reconnects >= so_far)
            counts.append((threading.active_count(), open_files()))
            server.drop()
            wait_for_problem(source)
    threads, files = zip(*counts[3:], strict=True)
    # A connection of the server may end a moment later than ours.
    assert max(threads) - min(threads) <= 1
    assert max(files) - min(files) <= 2


def test_nobody_there_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        for scheme in ("http", "rtsp"):
            with pytest.raises(BadInput, match=rf"cannot open the stream {scheme}://127") as error:
                open_source(f"{scheme}://me:secret@127.0.0.1:{port}/cam")
            assert "secret" not in str(error.value)


def test_somebody_who_says_nothing_is_an_error_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/cam"
        with pytest.raises(BadInput, match="cannot open the stream"):
            open_source(url, camera_options=CameraOptions(timeout_s=0.3))


def test_brackets_without_an_address_are_an_error() -> None:
    with pytest.raises(BadInput, match="no IPv6 address"):
        open_source("rtsp://me:secret@[10.0.0/cam")


class RtspServer:
    """`rtsp_server.py` in a process of its own; port 0 takes a free one."""

    def __init__(self, width: int, height: int, port: int = 0, codec: str = "jpeg") -> None:
        script = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            ["/usr/bin/python3", str(script), codec, str(width), str(height), str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self.stop()
            raise AssertionError(self._process.communicate()[1])
        self.port = int(line.split()[-1])
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    require_program("gst-launch-1.0")
    servers: list[RtspServer] = []

    def start(*arguments: int, **options: str) -> RtspServer:
        servers.append(RtspServer(*arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("jpeg", CameraOptions(timeout_s=4.0)),
        ("h264", CameraOptions(timeout_s=4.0)),
        ("h264", CameraOptions(timeout_s=4.0, udp=True)),
    ],
)
def test_rtsp_killed_and_started_again_with_another_size(
    rtsp_server: Callable[..., RtspServer], codec: str, options: CameraOptions
) -> None:
    server = rtsp_server(64, 48, codec=codec)
    reports: list[str] = []
    with open_source(server.url, reports.append, options) as source:
        frames = iter(source)
        assert take(frames).image.shape == (48, 64, 3)
        server.stop()
        wait_for_problem(source)
        rtsp_server(96, 64, server.port, codec=codec)
        assert take(frames, lambda frame: frame.image.shape[1] == 96).image.shape == (64, 96, 3)
    assert len(reports) == 2


@pytest.mark.usefixtures("quick")
def test_rtsp_that_freezes(rtsp_server: Callable[..., RtspServer]) -> None:
    server = rtsp_server(64, 48)
    reports: list[str] = []
    with open_source(server.url, reports.append, CameraOptions(timeout_s=3.0)) as source:
        frames = iter(source)
        take(frames)
        server.freeze()
        thaw = threading.Timer(4.0, server.thaw)
        thaw.start()
        time.sleep(0.2)
        last = source.state().frames
        take(frames, lambda frame: frame.index > last)
    thaw.join()
    assert len(reports) == 2
