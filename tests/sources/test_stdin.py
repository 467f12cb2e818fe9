"""Pictures from a pipe, through the command line's own door and through the source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_passd.sources.options import CameraOptions
from edge_passd.sources.stdin import PictureStream
from tests.programs import require_program

PATIENCE_S = 10.0
Jpeg = Callable[[int, int], bytes]


def run(arguments: list[str], stdin: bytes | int | None) -> subprocess.CompletedProcess[bytes]:
    given = {"stdin": stdin} if stdin is None or isinstance(stdin, int) else {"input": stdin}
    return subprocess.run(
        [sys.executable, "-m", "edge_passd", "run", *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        **given,
    )


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def feed(writer: int, stream: bytes) -> threading.Thread:
    """Write it all and close, beside the reader."""

    def work() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(stream)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_every_picture_in_order_whatever_its_size(pipe: tuple[int, int], jpeg: Jpeg) -> None:
    sizes = [(96, 64), (128, 80), (96, 64), (300, 200)]
    writer = feed(pipe[1], b"".join(jpeg(*size) for size in sizes))
    with PictureStream(pipe[0], CameraOptions(fps=12.5), print) as source:
        frames = list(source)
    writer.join()
    os.close(pipe[0])
    assert [frame.image.shape[1::-1] for frame in frames] == sizes
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.source for frame in frames] == ["stdin"] * 4
    times = [frame.captured_s for frame in frames if frame.captured_s is not None]
    assert times == sorted(times)
    assert len(times) == 4
    assert [frame.time_s for frame in frames] == pytest.approx(np.array(times) - times[0])
    assert (source.fps, source.live, source.length, source.verdict()) == (12.5, False, None, None)


def test_broken_pictures_are_passed_over_counted_and_said_once(
    pipe: tuple[int, int], jpeg: Jpeg
) -> None:
    good = jpeg(96, 64)
    fake = b"\xff\xd8\xff\xda\x00\x02 no picture in here \xff\xd9"
    writer = feed(pipe[1], good + good[:400] + good + fake + good + good[:700])
    reports: list[str] = []
    with PictureStream(pipe[0], CameraOptions(), reports.append) as source:
        frames = list(source)
    writer.join()
    os.close(pipe[0])
    assert [frame.index for frame in frames] == [0, 2, 4]
    state = source.state()
    assert (state.connected, state.frames, state.dropped) == (False, 6, 3)
    assert source.verdict() is None
    assert len(reports) == 1
    assert reports[0].startswith("stdin: picture 1 is cut short or damaged; it is passed over")


def test_an_interruption_ends_a_wait_for_the_next_picture(
    pipe: tuple[int, int], jpeg: Jpeg
) -> None:
    os.write(pipe[1], jpeg(96, 64))
    source = PictureStream(pipe[0], CameraOptions(), print)
    frames = iter(source)
    next(frames)  # although the sender has not ended
    ended = threading.Event()
    waiting = threading.Thread(target=lambda: (list(frames), ended.set()), daemon=True)
    waiting.start()
    time.sleep(0.05)
    source.interrupt()
    assert ended.wait(PATIENCE_S)
    assert source.verdict() is None
    os.close(pipe[0])
    os.close(pipe[1])


def test_a_film_through_ffmpeg_and_the_command_line(photo_file: Path, tmp_path: Path) -> None:
    ffmpeg = require_program("ffmpeg")
    sender = subprocess.run(
        [
            *(ffmpeg, "-v", "error", "-loop", "1", "-i", photo_file, "-frames:v", "5"),
            *("-vf", "scale=160:-2", "-f", "image2pipe", "-c:v", "mjpeg", "-"),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = tmp_path / "found.jsonl"
    result = run(["--source", "-", "--json", str(found)], sender.stdout)
    assert (result.returncode, result.stderr) == (0, b"")
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert [(line["source"], line["frame"]) for line in lines] == [("stdin", i) for i in range(5)]


@pytest.mark.parametrize("stream", [b"", b"this is no picture\n" * 100])
def test_a_pipe_without_a_picture_is_one_line_and_exit_2(stream: bytes) -> None:
    result = run(["--source", "-"], stream)
    assert result.returncode == 2
    error = result.stderr.decode().splitlines()[-1]
    assert error.startswith("edge-passd: stdin: it ended without a picture; pipe JPEGs or PNGs")
    assert b"Traceback" not in result.stderr


def test_a_terminal_is_no_source() -> None:
    main, terminal = os.openpty()
    result = run(["--source", "-"], terminal)
    os.close(main)
    os.close(terminal)
    assert result.returncode == 2
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("edge-passd: standard input is the terminal; pipe JPEGs")
