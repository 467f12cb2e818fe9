from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import film

from edge_passd.detections import Detections
from edge_passd.errors import BadInput
from edge_passd.sinks import window as window_module
from edge_passd.sinks.json_lines import json_lines
from edge_passd.sinks.open import SinkOptions, open_sinks
from edge_passd.sinks.pictures import picture_folder
from edge_passd.sinks.sink import Result
from edge_passd.sinks.video import video_file
from edge_passd.sinks.window import require_display, window
from edge_passd.sources.open import open_source
from edge_passd.sources.source import Frame


def result(value: int = 0, index: int = 0, time_s: float = 0.0, side: int = 64) -> Result:
    image = np.full((side, side, 3), value, np.uint8)
    boxes = np.array([[1, 2, 31, 42]], np.float32)
    found = Detections(boxes, np.array([0.75], np.float32), np.array([0]), ("dog",))
    return Result(Frame(image, "film.mp4", index, time_s), found)


def greys(path: Path) -> list[int]:
    """Brightness of the lower right corner of each frame, clear of the box."""
    capture, values = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        assert frame[1] is not None
        values.append(round(float(frame[1][-12:, -12:].mean())))
    return values


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_line_for_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "new" / "found.jsonl"
    with json_lines(str(path)) as write:
        assert write(result())
        assert not path.exists()
        assert write(result(index=3, time_s=0.30000001))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1] == {
        "schema": 1,
        "source": "film.mp4",
        "frame": 3,
        "time_s": 0.3,
        "detections": [{"label": "dog", "score": 0.75, "box": [1.0, 2.0, 31.0, 42.0]}],
    }
    assert [line["frame"] for line in lines] == [0, 3]
    assert names(tmp_path / "new") == ["found.jsonl"]


def test_lines_go_straight_into_a_pipe_and_never_replace_a_device() -> None:
    with json_lines("/dev/null") as write:
        write(result())
    assert Path("/dev/null").is_char_device()


def test_a_video_holds_every_frame_of_its_source(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with video_file(path, fps=12.5, live=False) as write:
        for index in range(5):
            assert write(result(40 * index, index, index / 12.5))
        assert not path.exists()
    assert greys(path) == pytest.approx([0, 40, 80, 120, 160], abs=6)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 12.5
    assert names(tmp_path) == ["out.mp4"]


def test_a_live_video_plays_at_the_speed_of_life(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with video_file(path, fps=10, live=True) as write:
        for value, time_s in ((0, 0.0), (80, 0.31), (160, 0.33), (240, 0.5)):
            write(result(value, time_s=time_s))
    # At 10 fps: frame 3 is due at 0.3 s; 0.33 s is not yet another; frame 5 at 0.5 s.
    assert greys(path) == pytest.approx([0, 80, 80, 80, 240, 240], abs=6)


def test_a_stream_that_changes_its_size_stays_one_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with video_file(path, fps=10, live=False) as write:
        write(result(0, side=64))
        write(result(200, side=96))
    assert greys(path) == pytest.approx([0, 200], abs=6)


@pytest.mark.parametrize("side", [33, 250])
def test_odd_sides_can_be_filmed(tmp_path: Path, side: int) -> None:
    path = tmp_path / "out.mp4"
    with video_file(path, fps=10, live=False) as write:
        write(result(90, side=side))
    assert len(greys(path)) == 1


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("a defect")]
)
def test_an_exception_leaves_nothing_half_written(tmp_path: Path, error: Exception) -> None:
    old = tmp_path / "out.mp4"
    old.write_text("from an earlier run")
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(type(error)))
        sinks = video_file(old, 10, live=False), json_lines(str(tmp_path / "out.jsonl"))
        for write in [stack.enter_context(sink) for sink in sinks]:
            write(result())
        raise error
    assert names(tmp_path) == ["out.mp4"]
    assert old.read_text() == "from an earlier run"


def test_a_video_that_does_not_reach_the_disk_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        """Loses every frame without a word, as OpenCV does."""

        fourcc = cv2.VideoWriter.fourcc

        def __init__(self, path: str, *_: object) -> None:
            Path(path).touch()

        def isOpened(self) -> bool:
            return True

        def write(self, image: np.ndarray) -> None: ...

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoWriter", FullDisk)
    sink = video_file(tmp_path / "out.mp4", 10, live=False)
    with pytest.raises(BadInput, match=r"out\.mp4: 0 of 1 frames reached the file"), sink as write:
        write(result())
    assert names(tmp_path) == []


def test_a_folder_of_pictures_mirrors_the_photos(tmp_path: Path, cat: np.ndarray) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    found = result().detections
    with picture_folder(out, root) as write:
        for name in ("a.png", "deep/a.png"):
            write(Result(Frame(cat, str(root / name), 0, 0.0), found))
    for name in ("a.png", "deep/a.png"):
        np.testing.assert_array_equal(cv2.imread(str(out / name)), found.draw(cat))


@pytest.mark.parametrize(
    ("source", "save", "complaint"),
    [
        ("album", "out.jpg", "saved in a folder"),
        ("album", "out.mp4", "saved in a folder"),
        ("album", "album/notes.txt", "saved in a folder"),
        ("album", "album", "read from"),
        ("album/cat.jpg", "out.mp4", "a photo is saved as"),
        ("album/cat.jpg", "out.gif", "a photo is saved as"),
        ("album/cat.jpg", "album/cat.jpg", "read from"),
        ("album/cat.jpg", "album", "read from"),
        ("film.mp4", "out.jpg", "a video is saved as .mp4"),
        ("film.mp4", "out", "a video is saved as .mp4"),
        ("film.mp4", "./film.mp4", "read from"),
    ],
)
def test_a_target_must_fit_the_source_and_not_be_it(
    tmp_path: Path, album: Path, source: str, save: str, complaint: str
) -> None:
    film(tmp_path / "film.mp4")
    with (
        open_source(str(tmp_path / source)) as opened,
        pytest.raises(BadInput, match=complaint),
    ):
        open_sinks(opened, SinkOptions(save=tmp_path / save), pytest.fail)


def test_json_may_not_replace_its_source_either(album: Path) -> None:
    with open_source(str(album)) as source:
        with pytest.raises(BadInput, match="read from"):
            open_sinks(source, SinkOptions(json=str(album / "cat.jpg")), pytest.fail)
        with pytest.raises(BadInput, match="is a folder"):
            open_sinks(source, SinkOptions(json=str(album)), pytest.fail)


def test_without_a_display_show_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BadInput, match="no display"):
        require_display()


def test_a_display_that_nobody_serves_does_not_end_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BadInput, match="cannot open a window"):
        require_display()


@pytest.mark.parametrize(
    ("keys", "is_visible", "goes_on"),
    [([-1], 1, True), ([ord("q")], 1, False), ([27], 1, False), ([-1], 0, False), ([65], 1, True)],
)
def test_keys_in_the_window(
    monkeypatch: pytest.MonkeyPatch, keys: list[int], is_visible: int, goes_on: bool
) -> None:
    shown: list[np.ndarray] = []
    pressed = iter(keys)
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(window_module.cv2, name, lambda *_: None)
    monkeypatch.setattr(window_module.cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(window_module.cv2, "waitKey", lambda _: next(pressed))
    monkeypatch.setattr(window_module.cv2, "getWindowProperty", lambda *_: is_visible)
    with window(wait=False) as write:
        assert write(result()) is goes_on
    np.testing.assert_array_equal(shown[0], result().picture)
