"""Films: whole under their name, and playable before that at any moment, also after SIGKILL."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd import run as run_module
from edge_passd.sinks.fragments import read_samples
from edge_passd.sinks.open import SinkOptions, free_name, open_sinks
from edge_passd.sinks.video import video_file
from edge_passd.sources.open import open_video
from tests.pipeline.fakes import MadeUp
from tests.programs import require_program
from tests.sinks.results import frames, result

FPS = 5.0  # and so many frames in a fragment


def shifted(photo: np.ndarray, index: int) -> np.ndarray:
    """The photo, smaller, and moved on with each frame."""
    small = cv2.resize(photo, (150, 100), interpolation=cv2.INTER_AREA)
    return np.roll(small, 4 * index, 1)


def film(path: Path, photo: np.ndarray, count: int) -> bytes:
    with video_file(path, FPS, live=False) as write:
        for index in range(count):
            write(result(index, shifted(photo, index), dogs=0))
    return path.read_bytes()


@pytest.mark.parametrize("count", [1, 4, 5, 6, 23])
def test_each_frame_is_there_at_its_place(tmp_path: Path, photo: np.ndarray, count: int) -> None:
    film(tmp_path / "film.mp4", photo, count)
    seen = frames(tmp_path / "film.mp4")
    assert len(seen) == count
    for index, picture in enumerate(seen):
        away = np.abs(picture.astype(int) - shifted(photo, index)).mean()
        assert away < 8  # compressed; of another frame it is 30 or more
    capture = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == count
    assert capture.get(cv2.CAP_PROP_FPS) == FPS


@pytest.mark.parametrize("fps", [0.5, 12.5, 29.97, 30000 / 1001, 120.0])
def test_the_rate_is_that_of_the_source(tmp_path: Path, photo: np.ndarray, fps: float) -> None:
    with video_file(tmp_path / "film.mp4", fps, live=False) as write:
        for index in range(3):
            write(result(index, shifted(photo, index)))
    rate = cv2.VideoCapture(str(tmp_path / "film.mp4")).get(cv2.CAP_PROP_FPS)
    assert rate == pytest.approx(fps, rel=1e-4)


def test_other_players_see_a_sound_film(tmp_path: Path, photo: np.ndarray) -> None:
    require_program("ffmpeg")
    film(tmp_path / "film.mp4", photo, 23)
    command = ["ffmpeg", "-v", "warning", "-i", str(tmp_path / "film.mp4"), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    seek = ["ffmpeg", "-v", "error", "-ss", "3", "-i", str(tmp_path / "film.mp4"), "-frames", "1"]
    done = subprocess.run([*seek, str(tmp_path / "at3.png")], capture_output=True, timeout=60)
    seen = cv2.imread(str(tmp_path / "at3.png"))
    assert seen is not None
    assert np.abs(seen.astype(int) - shifted(photo, 15)).mean() < 8


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray) -> bytes:
    return film(tmp_path_factory.mktemp("whole") / "film.mp4", photo, 20)


@settings(max_examples=30)
@given(share=st.floats(0, 1))
def test_cut_off_anywhere_it_plays_up_to_there(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    starts = [at - 4 for at in range(len(whole)) if whole[at : at + 4] == b"moof"]
    ends = [*starts[1:], len(whole)]
    length = int(share * len(whole))
    path = tmp_path_factory.mktemp("cut") / "film.mp4"
    path.write_bytes(whole[:length])
    fragments = sum(end <= length for end in ends)
    assert len(ends) == 4
    assert len(frames(path)) >= fragments * FPS


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray) -> bytes:
    """Three frames as OpenCV writes them."""
    path = tmp_path_factory.mktemp("ordinary") / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (150, 100))
    for index in range(3):
        writer.write(shifted(photo, index))
    writer.release()
    return path.read_bytes()


@given(noise=st.binary(max_size=40), share=st.floats(0, 1))
def test_a_broken_short_film_is_no_error_and_no_more_than_it_holds(
    ordinary: bytes, noise: bytes, share: float
) -> None:
    assert len(read_samples(ordinary).pictures) == 3
    assert read_samples(noise).pictures == ()
    at = int(share * len(ordinary))
    for broken in (ordinary[:at], ordinary[:at] + noise + ordinary[at + len(noise) :]):
        assert sum(map(len, read_samples(broken).pictures)) <= len(broken)


# As a user's camera would: each frame is told, then the process is killed from outside.
RUN = """
import sys, time
from pathlib import Path
import cv2, numpy as np
from edge_passd.sinks.video import video_file
from tests.sinks.results import result
photo = cv2.resize(cv2.imread(sys.argv[1]), (150, 100))
with video_file(Path(sys.argv[2]), 5.0, live=True) as write:
    for index in range(100_000):
        write(result(index, np.roll(photo, 4 * index, 1), time_s=index / 5))
        print(index, flush=True)
        time.sleep(0.002)
"""


def test_after_a_kill_the_film_plays_up_to_its_last_second(
    tmp_path: Path, photo_file: Path
) -> None:
    target = tmp_path / "yard.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(photo_file), str(target)],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        while int(running.stdout.readline()) < 57:
            pass
        running.send_signal(signal.SIGKILL)
        told = [int(line) for line in running.stdout if line.endswith("\n")]
    last = max(told, default=57)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["yard.part.mp4"]
    seen = frames(tmp_path / "yard.part.mp4")
    assert last + 1 - FPS < len(seen) <= last + 2


def test_what_a_killed_run_left_is_told_and_kept(tmp_path: Path, photo: np.ndarray) -> None:
    left = tmp_path / "yard.part.mp4"
    film(left, photo, 7)
    before, said = left.read_bytes(), []
    film(tmp_path / "source.mp4", photo, 3)
    with open_video(tmp_path / "source.mp4") as source:
        sinks = open_sinks(source, SinkOptions(save=tmp_path / "yard.mp4"), said.append)
    with sinks[0] as write:
        write(result())
        assert (tmp_path / "yard.part2.mp4").exists()
    assert said == [
        f"{left} is the film of a run that was killed or still goes on; it plays and stays"
    ]
    assert left.read_bytes() == before
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["source.mp4", "yard.mp4", "yard.part.mp4"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_cameras_film_is_kept_whatever_happens(
    tmp_path: Path, photo: np.ndarray, error: BaseException
) -> None:
    with (  # noqa: PT012 - the error comes from among the frames
        pytest.raises(type(error)),
        video_file(tmp_path / "yard.mp4", FPS, live=True) as write,
    ):
        for index in range(8):
            write(result(index, shifted(photo, index), time_s=index / FPS))
        raise error
    assert len(frames(tmp_path / "yard.mp4")) == 8


def test_a_night_without_the_camera_takes_five_seconds(tmp_path: Path, photo: np.ndarray) -> None:
    with video_file(tmp_path / "yard.mp4", FPS, live=True) as write:
        for index, time_s in enumerate((0.0, 0.2, 30_000.2, 30_000.4, 30_000.8)):
            write(result(index, shifted(photo, 8 * index), dogs=0, time_s=time_s))
    seen = frames(tmp_path / "yard.mp4")
    assert len(seen) == 2 + 5 * FPS + 1 + 2
    assert np.abs(seen[-1].astype(int) - shifted(photo, 32)).mean() < 8


def test_nothing_to_film_is_no_file(tmp_path: Path) -> None:
    with video_file(tmp_path / "film.mp4", FPS, live=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_on_a_camera_leaves_the_film_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yard = tmp_path / "yard.mp4"
    options = run_module.RunOptions("camera", save=yard, max_frames=3)
    for _ in range(3):
        monkeypatch.setattr(run_module, "open_source", lambda *_: MadeUp(None, live=True))
        run_module.run(options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "yard-2.mp4", "yard-3.mp4", "yard.mp4",
    ]  # fmt: skip
    said = capsys.readouterr()
    assert f"{yard} is there already and stays" in said.err
    assert said.out.splitlines()[-1].endswith(f"saved {tmp_path / 'yard-3.mp4'}")


def test_what_can_be_made_again_keeps_its_name(tmp_path: Path) -> None:
    yard = tmp_path / "yard.mp4"
    yard.write_bytes(b"an earlier one")
    assert free_name(MadeUp(3), yard, pytest.fail) == yard
    assert free_name(MadeUp(3, live=True), None, pytest.fail) is None
    assert (
        free_name(MadeUp(3, live=True), tmp_path / "new.mp4", pytest.fail) == tmp_path / "new.mp4"
    )
