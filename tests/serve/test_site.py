from __future__ import annotations

import json
from http.client import HTTPResponse
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from edge_passd.serve import site
from edge_passd.sources.source import SourceState
from tests.serve.fakes import ABOUT, View, counts, eventually, filming, read_pictures, result


def decoded(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def read_event(stream: HTTPResponse) -> tuple[str, dict[str, Any]]:
    fields = {}
    while (line := stream.readline().decode().strip()) or "data" not in fields:
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields["event"], json.loads(fields["data"])


PAGES = {"/": "html", "/page.css": "css", "/page.js": "javascript", "/icon.svg": "svg"}


@pytest.mark.parametrize("path", [*PAGES, "/healthz", "/metrics", "/snapshot.jpg", "/no-such"])
def test_every_answer_says_what_a_browser_may_do_with_it_and_no_version(
    view: View, path: str
) -> None:
    view.write(result())
    headers = view.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Server"] == "edge-passd"
    assert headers["Connection"] == "close"


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_made_of_its_own_files_alone(view: View, path: str) -> None:
    answer = view.get(path)
    assert answer.status == 200
    assert PAGES[path] in answer.headers["Content-Type"]
    assert "//" not in answer.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")


@pytest.mark.parametrize(
    "path", ["/page.html", "/../pyproject.toml", "/%2e%2e/site.py", "/page/", "/site.py"]
)
def test_nothing_else_is_served(view: View, path: str) -> None:
    assert view.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_get_and_head(view: View, method: str) -> None:
    answer = view.get("/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/stream.mjpg", "/events"])
def test_head_tells_the_kind_and_ends(view: View, path: str) -> None:
    full = {
        "/": "text/html",
        "/stream.mjpg": "multipart/x-mixed-replace",
        "/events": "text/event-stream",
    }
    answer = view.get(path, "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"].startswith(full[path])


def test_a_request_with_a_body_is_refused(view: View) -> None:
    assert view.get("/", Content_Length="5").status == 413


def test_the_snapshot_is_the_newest_picture_with_its_boxes(view: View, photo: np.ndarray) -> None:
    view.write(result(0))
    made = result(1, photo)
    view.write(made)
    eventually(lambda: decoded(view.get("/snapshot.jpg").body).shape == photo.shape)
    shown = decoded(view.get("/snapshot.jpg").body)
    assert np.abs(shown.astype(int) - made.picture).mean() < 5
    assert np.abs(made.picture.astype(int) - photo).mean() > 0.5


@pytest.mark.parametrize(
    ("size", "shown"), [((2000, 4000), (640, 1280)), ((3000, 20), (1280, 9)), ((9, 7), (9, 7))]
)
def test_a_large_picture_is_shrunk(
    view: View, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    view.write(result(0, np.zeros((*size, 3), np.uint8)))
    assert decoded(view.get("/snapshot.jpg").body).shape[:2] == shown


def test_without_a_picture_the_snapshot_says_so(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "SNAPSHOT_S", 0.05)
    assert view.get("/snapshot.jpg").status == 503


def test_the_stream_shows_each_newer_frame(view: View) -> None:
    with view.open("/stream.mjpg") as stream, filming(view):
        pictures = [decoded(jpeg) for jpeg in read_pictures(stream, 8)]
    brightness = [int(picture[45, 4, 0]) for picture in pictures]
    # It wraps after 64 frames.
    assert all(0 < (late - early) % 256 < 128 for early, late in pairwise(brightness))


def test_a_picture_is_whole_before_the_next_one_is_made(view: View) -> None:
    # Browsers show a picture when they see the boundary that ends it.
    with view.open("/stream.mjpg") as stream:
        view.write(result())
        read_pictures(stream, 1)
        assert stream.readline() == b"\r\n"
        assert stream.readline() == b"--frame\r\n"


def test_health_follows_results_and_source(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    def health() -> tuple[int, str]:
        answer = view.get("/healthz")
        return answer.status, json.loads(answer.text)["status"]

    assert health() == (503, "waiting")
    view.write(result())
    assert health() == (200, "live")
    monkeypatch.setattr("edge_passd.serve.figures.STALLED_S", 0.0)
    assert health() == (503, "stalled")
    monkeypatch.undo()
    view.camera.now = SourceState(connected=False, reconnects=1, problem="camera:0: unplugged")
    assert health() == (503, "reconnecting")
    assert json.loads(view.get("/healthz").text)["problem"] == "camera:0: unplugged"
    view.camera.now = SourceState(connected=True, reconnects=2)
    assert health() == (200, "live")


def test_events_tell_what_runs_and_then_how(view: View) -> None:
    crossing = {"type": "line", "name": "gate", "id": 7, "label": "cat", "direction": "in"}
    view.write(result(latency_s=0.05, labels=(1, 1), events=(crossing,), counts=counts()))
    with view.open("/events") as stream:
        assert read_event(stream) == ("about", ABOUT)
        kind, now = read_event(stream)
    assert kind == "figures"
    assert (now["status"], now["frames"]) == ("live", 1)
    assert (now["latency"]["of"], now["latency"]["p50_ms"]) == ("capture", 50)
    assert now["classes"] == [
        {"name": "dog", "now": 0, "mean": 0.0},
        {"name": "cat", "now": 2, "mean": 2.0},
    ]
    assert now["places"][0] == {"type": "line", "name": "gate", "in": 3, "out": 1}
    assert now["events"][0]["label"] == "cat"
    assert now["board"]["throttled"] in ("yes", "no", "unknown")


def test_events_know_whether_the_same_viewer_gets_the_stream(view: View) -> None:
    def watching(name: str) -> bool:
        with view.open(f"/events?viewer={name}") as stream:
            read_event(stream)
            return bool(read_event(stream)[1]["watching"])

    assert not watching("me")
    with view.open("/stream.mjpg?viewer=me"):
        eventually(lambda: watching("me"))
        assert not watching("you")
    eventually(lambda: not watching("me"))


def test_metrics_are_what_prometheus_reads(view: View) -> None:
    view.camera.now = SourceState(connected=True, reconnects=3, frames=9, dropped=2)
    for index in range(4):
        view.write(result(index, labels=(0, 1, 1)))
    answer = view.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert samples['edge_passd_detections_total{class="cat"}'] == "8"
    assert samples["edge_passd_results_total"] == "4"
    assert samples["edge_passd_source_reconnects_total"] == "3"
    assert samples['edge_passd_latency_milliseconds{quantile="0.5"}'] == "20.0"
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert sorted(types) == sorted({name.partition("{")[0] for name in samples})
