"""Results and sources that no camera made, and a browser's worth of plain HTTP."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edge_passd.detections import Detections
from edge_passd.serve import ServeOptions, live_view
from edge_passd.sinks.sink import Result, Write
from edge_passd.sources.source import Frame, SourceState
from edge_passd.tracking import Counts

PATIENCE_S = 10.0  # far more than any step takes; a hang fails instead of waiting
CLASSES = ("dog", "cat")
ABOUT = {
    "model": "animals5",
    "engine": "onnxruntime",
    "precision": "int8",
    "classes": list(CLASSES),
    "source": "camera:0",
}


def result(
    index: int = 0,
    image: np.ndarray | None = None,
    labels: tuple[int, ...] = (1,),
    infer_s: float = 0.02,
    latency_s: float | None = None,
    events: tuple[dict[str, Any], ...] = (),
    counts: Counts | None = None,
) -> Result:
    """An image, or a grey one of brightness 4 * `index` % 256, and a box for each label."""
    if image is None:
        image = np.full((48, 64, 3), 4 * index % 256, np.uint8)
    boxes = np.tile(np.float32([20, 20, 60, 40]), (len(labels), 1))
    scores = np.full(len(labels), 0.9, np.float32)
    detections = Detections(boxes, scores, np.int64(labels), CLASSES)
    frame = Frame(image, "camera:0", index, index / 20)
    return Result(frame, detections, infer_s, latency_s, events, counts)


class Camera:
    """How the source fares, as a test wants it."""

    def __init__(self) -> None:
        self.now = SourceState(connected=True)

    def state(self) -> SourceState:
        return self.now


class View:
    """A running live view, and how to ask it."""

    def __init__(self, options: ServeOptions, write: Write, camera: Camera) -> None:
        self.port, self.token, self.write, self.camera = options.port, options.token, write, camera

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """The whole answer; `Header_Name` as a keyword is a header."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    @contextmanager
    def open(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """An answer that does not end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            yield response
        finally:
            response.close()
            connection.close()

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as connection:
            yield connection


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode()


def counts(gate: str = "gate", entered: int = 3, left: int = 1, inside: int = 2) -> Counts:
    """A line and a zone, with what was counted there."""
    corners = np.array([[10.0, 10], [50, 10], [50, 40]])
    return Counts(((gate, corners[:2], entered, left),), (("yard", corners, inside),))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(port: int | None = None, **options: Any) -> Iterator[View]:
    """A live view on a free port of this machine."""
    chosen, camera = ServeOptions(port or free_port(), **options), Camera()
    with live_view(chosen, ABOUT, camera.state) as write:
        yield View(chosen, write, camera)


@contextmanager
def filming(view: View, make: Callable[[int], Result] = result, fps: float = 50) -> Iterator[None]:
    """Results keep coming, from a thread as those of a pipeline do."""
    stop = threading.Event()

    def film() -> None:
        index = 0
        while not stop.wait(1 / fps):
            view.write(make(index))
            index += 1

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds; fail if it does not."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it never came to hold")
        time.sleep(0.02)


def read_pictures(stream: http.client.HTTPResponse, count: int) -> list[bytes]:
    """The next JPEG files of a stream, held against the lengths it states."""
    pictures = []
    for _ in range(count):
        line = stream.readline().strip()
        while line in (b"", b"--frame"):
            line = stream.readline().strip()
        headers = {}
        while line:
            name, _, value = line.partition(b": ")
            headers[name] = value
            line = stream.readline().strip()
        assert headers[b"Content-Type"] == b"image/jpeg"
        pictures.append(stream.read(int(headers[b"Content-Length"])))
    return pictures
