from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from edge_passd.sources import live
from tests.sources.mjpeg_server import MjpegServer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once, so that tests need not wait."""
    monkeypatch.setattr(live, "_FAILING_S", 0.05)
    monkeypatch.setattr(live, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(live, "LONGEST_DELAY_S", 0.1)


@pytest.fixture
def jpeg(photo: np.ndarray) -> Callable[[int, int], bytes]:
    """The cat as a JPEG file, so many pixels wide and high."""

    def encode(width: int, height: int) -> bytes:
        ok, data = cv2.imencode(".jpg", cv2.resize(photo, (width, height)))
        assert ok
        return data.tobytes()

    return encode


@pytest.fixture
def mjpeg_server() -> Iterator[Callable[..., MjpegServer]]:
    """Starts servers, and stops at the end those that still run."""
    servers: list[MjpegServer] = []

    def start(pictures: list[bytes], port: int = 0) -> MjpegServer:
        servers.append(MjpegServer(pictures, port))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
