"""The command line as a user's shell sees it: exit status, standard output, standard error."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import fill_album, film

import edge_passd

ROOT = Path(edge_passd.__file__).parents[1]
COMMAND = (sys.executable, "-m", "edge_passd.cli.main")
TIMEOUT_S = 60


def environment() -> dict[str, str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def call(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, env=environment(), text=True,
        timeout=TIMEOUT_S, **{"capture_output": True, **options},
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


def furnish(folder: Path, album: Path, model: Path) -> Path:
    """Put a model, good inputs, and bad ones of every kind into a folder."""
    whole = model.read_bytes()
    photo = (album / "cat.jpg").read_bytes()
    files = {
        "model.onnx": whole,
        "half.onnx": whole[: len(whole) // 2],
        "zero.onnx": b"",
        "text.onnx": b"this is no model\n" * 9,
        "cut.jpg": photo[: len(photo) // 2],
        "cut.png": (album / "astronaut.png").read_bytes()[:9000],
        "zero.jpg": b"",
        "text.jpg": b"this is no photo",
        "zero.mp4": b"",
        "text.mp4": b"this is no video",
        "cut.mp4": film(folder / "whole.mp4", frames=30).read_bytes()[:2000],
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    avi = film(folder / "cut.avi", frames=40, codec="MJPG")
    avi.write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    (folder / "empty").mkdir()
    (folder / "mixed").mkdir()
    (folder / "mixed" / "good.jpg").write_bytes(photo)
    (folder / "mixed" / "bad.jpg").write_bytes(photo[:900])
    return folder


@pytest.fixture
def place(tmp_path: Path, album: Path, model: Path) -> Path:
    return furnish(tmp_path, album, model)


GOOD = ("model.onnx", "--source", "album/cat.jpg")
BAD_INPUTS = {
    "no such photo": (("model.onnx", "--source", "none.jpg"), "no such file: none.jpg"),
    "zero bytes": (("model.onnx", "--source", "zero.jpg"), "zero.jpg is empty"),
    "no photo": (("model.onnx", "--source", "text.jpg"), "text.jpg: not a picture"),
    "cut jpeg": (("model.onnx", "--source", "cut.jpg"), "cut.jpg: the photo is cut short"),
    "cut png": (("model.onnx", "--source", "cut.png"), "cut.png: the photo is cut short"),
    "zero video": (("model.onnx", "--source", "zero.mp4"), "zero.mp4 is empty"),
    "no video": (("model.onnx", "--source", "text.mp4"), "neither a photo nor a video"),
    "cut mp4": (("model.onnx", "--source", "cut.mp4"), "cut.mp4: neither a photo nor a video"),
    "empty folder": (("model.onnx", "--source", "empty"), "empty: no photos there"),
    "no match": (("model.onnx", "--source", "*.bmp"), "no file matches *.bmp"),
    "no camera": (("model.onnx", "--camera", "97"), "no camera 97: there "),
    "nobody answers": (("model.onnx", "--source", "http://127.0.0.1:9/a"), "cannot open the str"),
    "no model": (("none.onnx", "--source", "album"), "no such model: none.onnx"),
    "zero model": (("zero.onnx", "--source", "album"), "zero.onnx is empty"),
    "text model": (("text.onnx", "--source", "album"), "text.onnx: onnxruntime cannot load it"),
    "half a model": (("half.onnx", "--source", "album"), "half.onnx: onnxruntime cannot load it"),
    "photo for model": (("cut.jpg", "--source", "album"), "cut.jpg is no model"),
    "wrong engine": ((*GOOD, "--engine", "torch"), "use --engine onnxruntime"),
    "unknown class": ((*GOOD, "--classes", "red,dog"), "'dog'; it knows red, green, blue"),
    "no display": ((*GOOD, "--show"), "no display"),
    "photo as video": ((*GOOD, "--save", "out.mp4"), "a photo is saved as"),
    "over itself": ((*GOOD, "--save", "album/cat.jpg"), "album/cat.jpg is read from"),
    "no folder": ((*GOOD, "--save", "zero.jpg/out.jpg"), "zero.jpg"),
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, photos: dict[str, np.ndarray], model: Path
) -> dict[str, subprocess.CompletedProcess[str]]:
    """How each bad input ended; together, since most of the time goes into starting Python."""
    place = tmp_path_factory.mktemp("bad")
    furnish(place, fill_album(place / "album", photos), model)
    before = sorted(place.rglob("*"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {
            name: pool.submit(call, "run", *arguments, cwd=place)
            for name, (arguments, _) in BAD_INPUTS.items()
        }
    assert sorted(place.rglob("*")) == before, "bad input left something behind"
    return {name: run.result() for name, run in runs.items()}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_one_line_and_exit_status_2(
    outcomes: dict[str, subprocess.CompletedProcess[str]], name: str
) -> None:
    done = outcomes[name]
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-passd: ")
    assert BAD_INPUTS[name][1] in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "model.onnx"),
        ("run", "model.onnx", "--source", "album", "--camera", "0"),
        ("run", *GOOD, "--conf", "1.5"),
        ("run", *GOOD, "--threads", "0"),
        ("run", *GOOD, "--engine", "tensorrt"),
        ("run", *GOOD, "--no-such-option"),
        ("no-such-command",),
    ],
)
def test_wrong_use_is_exit_status_2_without_a_traceback(
    tmp_path: Path, arguments: Sequence[str]
) -> None:
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr


def test_a_photo_from_start_to_end(place: Path) -> None:
    done = call("run", *GOOD, "--conf", "0.5", "--save", "o.jpg", "--json", "o.jsonl", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "red 0.58 0 0 226 150",
        "1 frame, 1 detection; saved o.jpg and o.jsonl",
    ]
    assert cv2.imread(str(place / "o.jpg")) is not None
    assert json.loads((place / "o.jsonl").read_text())["source"] == "album/cat.jpg"


def test_one_broken_photo_among_good_ones(place: Path) -> None:
    done = call("run", "model.onnx", "--source", "mixed", "--save", "out", cwd=place)
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith("edge-passd: mixed/bad.jpg: ")
    assert last == "edge-passd: mixed: 1 of 2 photos could not be read"
    assert [path.name for path in (place / "out").iterdir()] == ["good.jpg"]


def test_a_video_cut_short(place: Path) -> None:
    done = call("run", "model.onnx", "--source", "cut.avi", "--save", "out.mp4", cwd=place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "it promises 40 frames, " in line
    saved = cv2.VideoCapture(str(place / "out.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)
    assert f"{saved:.0f} could be decoded" in line


def test_json_on_stdout_is_json_and_nothing_else(place: Path) -> None:
    done = call("run", "model.onnx", "--source", "whole.mp4", "--json", "-", cwd=place)
    assert done.returncode == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in found] == list(range(30))
    assert found[1]["time_s"] == 0.1


def test_a_full_disk_under_stdout_is_one_line(place: Path) -> None:
    with open("/dev/full", "w") as full:
        done = call(
            "run", *GOOD, "--json", "-", cwd=place, capture_output=False, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "edge-passd: standard output: No space left on device\n"


def run_in_little_space(place: Path, limit: int, *arguments: str) -> str:
    """The line on standard error of a run whose files may have so many bytes."""

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = ("run", "model.onnx", "--source", "whole.mp4", *arguments)
    done = call(*arguments, cwd=place, preexec_fn=restrict)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("option", "name", "limit"), [("--save", "out.mp4", 512), ("--json", "out.jsonl", 2048)]
)
def test_a_file_that_may_not_grow_is_one_line_and_no_file(
    place: Path, option: str, name: str, limit: int
) -> None:
    before = sorted(place.rglob("*"))
    assert name in run_in_little_space(place, limit, option, name)
    assert sorted(place.rglob("*")) == before


def test_a_film_that_may_not_grow_plays_as_far_as_it_goes(place: Path) -> None:
    line = run_in_little_space(place, 2048, "--save", "out.mp4")
    assert "10 frames are kept in out.part.mp4" in line
    assert cv2.VideoCapture(str(place / "out.part.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 10
    assert not (place / "out.mp4").exists()


def test_a_reader_that_leaves_is_no_traceback(place: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "run", "model.onnx", "--source", "whole.mp4", "--json", "-"],
        cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 1


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=lambda stop: stop.name)
def test_a_stop_completes_the_outputs_and_exits_130(place: Path, stop: signal.Signals) -> None:
    film(place / "long.mp4", frames=20_000, side=16)
    os.mkfifo(place / "pipe")
    with subprocess.Popen(
        [*COMMAND, "run", "model.onnx", "--source", "long.mp4", "--save", "o.mp4",
         "--json", "pipe"],
        cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background job ignores Ctrl-C and so would its children, this test's included.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:  # fmt: skip
        with (place / "pipe").open() as pipe:
            seen = [pipe.readline() for _ in range(5)]
            running.send_signal(stop)
            seen += pipe.readlines()
        out, err = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert 5 <= len(seen) < 20_000
    assert [json.loads(line)["frame"] for line in seen] == list(range(len(seen)))
    saved = cv2.VideoCapture(str(place / "o.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)
    assert abs(saved - len(seen)) <= 1
    assert "saved o.mp4" in out


def test_help_teaches_by_example(tmp_path: Path) -> None:
    overview = call("--help", cwd=tmp_path)
    assert overview.returncode == 0
    assert "Detect in photos" in overview.stdout
    run_help = call("run", "--help", cwd=tmp_path).stdout
    assert run_help.count("    edge-passd run ") >= 4
    assert call("--version", cwd=tmp_path).stdout.strip().endswith(edge_passd.__version__)
