from __future__ import annotations

import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import film

from edge_passd.errors import BadInput
from edge_passd.sources.live import Live
from edge_passd.sources.open import open_source
from edge_passd.sources.options import CameraOptions
from edge_passd.sources.source import SourceState
from edge_passd.sources.stream import open_stream, without_credentials
from edge_passd.sources.video import Video
from tests.programs import require_program


class FakeCapture:
    """A recording or a closed door, in place of cv2.VideoCapture."""

    def __init__(self, frames: int = 0, promised: float = 0, fps: float = 10, opens: bool = True):
        self.left, self.opens, self.released = frames, opens, False
        self._values = {cv2.CAP_PROP_FRAME_COUNT: promised, cv2.CAP_PROP_FPS: fps}

    def isOpened(self) -> bool:
        return self.opens

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, np.zeros((8, 8, 3), np.uint8)) if self.left >= 0 else (False, None)

    def get(self, propId: int) -> float:
        return self._values[propId]

    def release(self) -> None:
        self.released = True


def test_a_photo(album: Path, cat: np.ndarray) -> None:
    with open_source(str(album / "cat.jpg")) as source:
        (frame,) = source
    assert frame.image.shape == cat.shape
    assert (frame.source, frame.index, frame.time_s) == (str(album / "cat.jpg"), 0, 0.0)
    assert (source.length, source.fps, source.live) == (1, None, False)


@pytest.mark.parametrize("pattern", ["", "/*", "/*.*g", "/[a-c]*"])
def test_a_folder_or_pattern_gives_its_photos_in_order(album: Path, pattern: str) -> None:
    with open_source(f"{album}{pattern}") as source:
        frames = list(source)
    assert [Path(frame.source).name for frame in frames] == [
        "astronaut.png",
        "cat.jpg",
        "coffee.jpg",
    ]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert source.length == 3
    assert source.verdict() is None


def test_a_pattern_reaches_into_folders_and_a_name_with_brackets_is_a_name(album: Path) -> None:
    deep = album / "more"
    deep.mkdir()
    (album / "cat.jpg").rename(deep / "cat[1].jpg")
    with open_source(f"{album}/**/*.jpg") as source:
        assert [Path(frame.source).name for frame in source] == ["coffee.jpg", "cat[1].jpg"]
    with open_source(str(deep / "cat[1].jpg")) as source:
        assert len(list(source)) == 1


def test_one_broken_photo_among_good_ones_is_reported_and_counted(album: Path) -> None:
    (album / "broken.jpg").write_bytes((album / "cat.jpg").read_bytes()[:5000])
    (album / "empty.png").touch()
    reports: list[str] = []
    with open_source(str(album), reports.append) as source:
        assert len(list(source)) == 3
    assert len(reports) == 2
    assert "broken.jpg" in reports[0]
    assert "empty.png" in reports[1]
    assert source.verdict() == f"{album}: 2 of 5 photos could not be read"


def test_a_video_frame_by_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", frames=12)
    with open_source(str(path)) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(12) / 10)
    greys = [frame.image.mean() for frame in frames]
    assert greys == pytest.approx(8.0 * np.arange(12), abs=4)
    assert (source.length, source.fps, source.live, source.verdict()) == (12, 10.0, False, None)


def test_a_video_cut_short_tells_both_counts(tmp_path: Path) -> None:
    path = film(tmp_path / "film.avi", frames=60, codec="MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_source(str(path)) as source:
        decoded = len(list(source))
    assert 10 < decoded < 50
    verdict = source.verdict()
    assert verdict is not None
    assert "promises 60 frames" in verdict
    assert f"{decoded} could be decoded" in verdict


@pytest.mark.parametrize(
    ("promised", "decoded", "is_complete"),
    [
        (0, 5, True),
        (-1.0, 5, True),
        (float("nan"), 5, True),
        (7, 5, True),
        (8, 5, False),
        (1000, 990, True),
        (1000, 989, False),
        (5, 9, True),
        (5, 0, False),
        (0, 0, False),
    ],
)
def test_how_many_frames_may_be_missing(promised: float, decoded: int, is_complete: bool) -> None:
    video = Video(FakeCapture(decoded, promised), "v")
    assert len(list(video)) == decoded
    assert (video.verdict() is None) == is_complete


def test_a_video_that_changes_its_size_goes_on_in_its_first(tmp_path: Path) -> None:
    ffmpeg = require_program("ffmpeg")
    path = tmp_path / "film.ts"
    for side in (64, 128):
        part = tmp_path / "part.ts"
        picture = f"color=red:size={side}x{side}:rate=10:duration=1"
        command = [ffmpeg, "-y", "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "mpeg2video"]
        subprocess.run([*command, part], timeout=60, check=True)
        path.write_bytes((path.read_bytes() if path.exists() else b"") + part.read_bytes())
    with open_source(str(path)) as source:
        frames = list(source)
    assert len(frames) > 15
    assert {frame.image.shape for frame in frames} == {(64, 64, 3)}


def test_files_are_always_connected(album: Path) -> None:
    with open_source(str(album)) as source:
        assert source.state() == SourceState()
        assert [frame.captured_s for frame in source] == [None] * 3


def test_leaving_a_video_early_is_no_fault(tmp_path: Path) -> None:
    with open_source(str(film(tmp_path / "film.mp4"))) as source:
        next(iter(source))
    assert source.verdict() is None


@pytest.mark.parametrize(
    ("reported", "used"), [(12.5, 12.5), (0, 25), (float("nan"), 25), (9e4, 25)]
)
def test_a_frame_rate_that_cannot_be_is_replaced(reported: float, used: float) -> None:
    assert Video(FakeCapture(fps=reported), "v").fps == used


def bad(tmp_path: Path, name: str) -> str:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no photo")
    (tmp_path / "text.mp4").write_text("no video either")
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "zero.jpg").touch()
    return str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("none.jpg", "no such file: .*none.jpg"),
        ("none.mp4", "no such file: .*none.mp4"),
        ("folder", "no photos there"),
        ("*.png", r"no file matches .*\*\.png"),
        ("*.mp4", "no photos there"),
        ("text.mp4", "neither a photo nor a video"),
        ("zero.mp4", "0 bytes"),
    ],
)
def test_bad_sources(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        open_source(bad(tmp_path, name))


def test_a_single_bad_photo_is_an_error_when_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"zero\.jpg is empty"):
        list(open_source(bad(tmp_path, "zero.jpg")))


def test_a_number_is_perhaps_a_camera() -> None:
    with pytest.raises(BadInput, match="--camera 0"):
        open_source("0")


def test_a_url_is_a_recording_or_live_and_keeps_its_password_to_itself() -> None:
    url = "rtsp://me:secret@10.0.0.7:554/cam?x=1"
    recording = open_stream(url, capture_of=lambda *_: FakeCapture(frames=3, promised=3))
    assert isinstance(recording, Video)
    assert [frame.source for frame in recording] == ["rtsp://10.0.0.7:554/cam?x=1"] * 3
    with open_stream(url, capture_of=lambda *_: FakeCapture()) as live:
        assert isinstance(live, Live)
        assert "secret" not in live.name
    with pytest.raises(BadInput, match="cannot open the stream rtsp://10") as error:
        open_stream(url, capture_of=lambda *_: FakeCapture(opens=False))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("rtsp://me:a:b@c@cam:554/live", "rtsp://cam:554/live"),
        ("http://cam/v?USER=me&pwd=p@s/s&ch=1", "http://cam/v?USER=***&pwd=***&ch=1"),
        ("rtsp://me:p#a/b?c@cam:554/live", "rtsp://cam:554/live"),
        ("http://cam:80/a?b#c", "http://cam:80/a?b#c"),
        ("http://[fe80::1]:80/a", "http://[fe80::1]:80/a"),
        ("http://cam/v?loginuse=me&loginpas=x&n=1", "http://cam/v?loginuse=***&loginpas=***&n=1"),
        ("rtsp://cam/user=me&password=x_y&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("http://cam/v?access_token=abc&monkey=1", "http://cam/v?access_token=***&monkey=1"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    ("set_by_user", "udp", "seen"),
    [
        (None, False, None),
        (None, True, "rtsp_transport;udp"),
        ("rtsp_transport;udp", False, None),  # left by a stream before this one
        ("rtsp_transport;http", False, "rtsp_transport;http"),
        ("rtsp_transport;http", True, "rtsp_transport;http"),
    ],
)
def test_how_rtsp_is_carried(
    monkeypatch: pytest.MonkeyPatch, set_by_user: str | None, udp: bool, seen: str | None
) -> None:
    variable = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    monkeypatch.setenv(variable, "")
    if set_by_user is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, set_by_user)
    given = []

    def capture_of(*_: object) -> FakeCapture:
        given.append(os.environ.get(variable))
        return FakeCapture()

    open_stream("rtsp://cam/live", CameraOptions(udp=udp), capture_of=capture_of).close()
    assert given[0] == seen
