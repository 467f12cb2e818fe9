from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import film

from edge_passd import run as run_module
from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.photo import read_photo
from edge_passd.run import RunOptions, Tally, run
from edge_passd.sources.live import Live
from edge_passd.sources.video import Video


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_into_pictures_and_lines(
    model: Path, album: Path, tmp_path: Path, detector: Detector, capsys: pytest.CaptureFixture[str]
) -> None:
    save, found = tmp_path / "boxes", tmp_path / "found.jsonl"
    tally = run(
        RunOptions(source=str(album), model=model, conf=0.3, save=save, json=str(found), threads=1)
    )
    photos = [album / name for name in ("astronaut.png", "cat.jpg", "coffee.jpg")]
    expected = [detector.detect(photo).filter(conf=0.3) for photo in photos]
    assert [line["detections"] for line in lines(found)] == [each.to_dict() for each in expected]
    assert [line["source"] for line in lines(found)] == [str(photo) for photo in photos]
    assert (tally.frames, tally.detections) == (3, sum(len(each) for each in expected))
    assert sorted(path.name for path in save.iterdir()) == [photo.name for photo in photos]
    drawn = expected[0].draw(read_photo(photos[0]))
    np.testing.assert_array_equal(cv2.imread(str(save / "astronaut.png")), drawn)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert out[0].startswith(f"3 frames, {tally.detections} detections, ")
    assert out[0].endswith(f" fps on onnxruntime; saved {save} and {found}")


def test_one_photo_lists_its_detections(
    model: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(RunOptions(source=str(album / "cat.jpg"), model=model, conf=0.5, save=tmp_path / "o.png"))
    out = capsys.readouterr().out.splitlines()
    assert out == ["red 0.58 0 0 226 150", f"1 frame, 1 detection; saved {tmp_path / 'o.png'}"]
    assert (tmp_path / "o.png").exists()


def test_a_video_into_a_video(model: Path, tmp_path: Path) -> None:
    source, save = film(tmp_path / "film.mp4", frames=20), tmp_path / "boxes.mp4"
    tally = run(RunOptions(source=str(source), model=model, save=save, max_frames=15))
    capture = cv2.VideoCapture(str(save))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == tally.frames == 15
    assert capture.get(cv2.CAP_PROP_FPS) == 10


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"conf": 0.0}, ["red", "green", "blue"]),
        ({"conf": 0.4}, ["red", "green"]),
        ({"conf": 0.4, "classes": ("green", "blue")}, ["green"]),
        ({"conf": 0.99}, []),
        ({"conf": 0.0, "soft_nms": True}, ["red", "green", "blue"]),
    ],
)
def test_what_is_kept(
    model: Path, album: Path, tmp_path: Path, options: dict, labels: list[str]
) -> None:
    found = tmp_path / "found.jsonl"
    run(RunOptions(source=str(album / "cat.jpg"), model=model, json=str(found), **options))
    assert [each["label"] for each in lines(found)[0]["detections"]] == labels


def test_json_on_stdout_leaves_nothing_else_there(
    model: Path, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(RunOptions(source=str(album), model=model, json="-"))
    out, err = capsys.readouterr()
    assert [json.loads(line)["frame"] for line in out.splitlines()] == [0, 1, 2]
    assert err.startswith("3 frames")


def test_a_broken_photo_is_named_and_the_rest_is_done(
    model: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    found = tmp_path / "found.jsonl"
    with pytest.raises(BadInput, match="1 of 4 photos could not be read"):
        run(RunOptions(source=str(album), model=model, json=str(found)))
    assert len(lines(found)) == 3
    assert "broken.jpg" in capsys.readouterr().err


def test_a_video_cut_short_is_saved_as_far_as_it_goes(model: Path, tmp_path: Path) -> None:
    source = film(tmp_path / "film.avi", frames=60, codec="MJPG")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    save, found = tmp_path / "boxes.mp4", tmp_path / "found.jsonl"
    with pytest.raises(BadInput, match="promises 60 frames"):
        run(RunOptions(source=str(source), model=model, save=save, json=str(found)))
    frames = len(lines(found))
    assert 10 < frames < 50
    assert cv2.VideoCapture(str(save)).get(cv2.CAP_PROP_FRAME_COUNT) == frames


def test_where_nothing_could_be_read_no_output_appears(
    model: Path, tmp_path: Path, album: Path
) -> None:
    (album / "cat.jpg").write_bytes(b"x")
    found = tmp_path / "found.jsonl"
    with pytest.raises(BadInput, match="not a picture"):
        run(RunOptions(source=str(album / "cat.jpg"), model=model, json=str(found)))
    assert not found.exists()


class Camera:
    """A camera that delivers three frames, then does as it is told."""

    def __init__(self, afterwards: type[BaseException] | None) -> None:
        self._left, self._afterwards = 3, afterwards

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self._left -= 1
        if self._left < 0 and self._afterwards:
            raise self._afterwards
        return (True, np.zeros((8, 8, 3), np.uint8)) if self._left >= 0 else (False, None)

    def get(self, propId: int) -> float:
        return 0.0

    def release(self) -> None: ...


def test_ctrl_c_completes_the_outputs(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted = Video(Camera(KeyboardInterrupt), "camera:0")
    monkeypatch.setattr(run_module, "open_camera", lambda *_: interrupted)
    save, found = tmp_path / "boxes.mp4", tmp_path / "found.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(RunOptions(camera=0, model=model, save=save, json=str(found)))
    assert len(lines(found)) == 3
    assert cv2.VideoCapture(str(save)).get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert capsys.readouterr().out.startswith("3 frames")


def test_an_unplugged_camera_keeps_what_was_seen(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_camera(*_: object) -> Live:
        return Live(Camera(None), "camera:0", timeout_s=0.2)

    monkeypatch.setattr(run_module, "open_camera", open_camera)
    found = tmp_path / "found.jsonl"
    with pytest.raises(BadInput, match="camera:0: no frame"):
        run(RunOptions(camera=0, model=model, json=str(found)))
    assert 1 <= len(lines(found)) <= 3
    assert lines(found)[-1]["frame"] == 2


def test_the_tally_counts(model: Path, album: Path) -> None:
    tally = run(RunOptions(source=str(album), model=model, conf=0.0, max_frames=2))
    assert tally == Tally(frames=2, detections=6, seconds=tally.seconds)
    assert tally.seconds > 0
