"""Compiled bundles, through the detector and as a board runs them: without TVM's packages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_bundles import (
    MANIFEST,
    PLAN,
    TARGETS,
    colour_bundle,
    colour_library,
    compiled,
    elf,
    idle_bundle,
)
from fake_models import COLOUR_BOXES, COLOURS, SIZE

import edge_passd
from edge_passd.detector import Detector
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput

pytest.importorskip("tvm")

ROOT = Path(edge_passd.__file__).parents[1]
# What `pip install edge-passd` brings.
BOARD_PACKAGES = ("numpy", "cv2", "click", "rich", "markdown_it", "mdurl", "pygments")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bundle` with TVM's runtime in it."""
    return colour_bundle(tmp_path_factory.mktemp("complete") / "c.passd", carry_runtime=True)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Python finds `BOARD_PACKAGES` and edge_passd, and nothing else."""
    folder = tmp_path_factory.mktemp("board")
    for package in BOARD_PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent
        for path in home.parent.glob(f"*{home.name}*"):
            if path.is_dir() and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    for libraries in Path(np.__file__).parents[1].glob("*.libs"):
        if not (folder / libraries.name).exists():
            (folder / libraries.name).symlink_to(libraries)
    (folder / "edge_passd").symlink_to(ROOT / "edge_passd")
    temporary = folder / "tmp"
    temporary.mkdir()
    return {"PYTHONPATH": str(folder), "TMPDIR": str(temporary), "HOME": str(temporary)}


def python(code: str, *arguments: object, env: dict[str, str] | None = None) -> Any:
    """What `code` prints, read as JSON; -S, so that no site-packages are found but those in env."""
    done = subprocess.run(
        [sys.executable, *(["-S"] if env else []), "-c", code, *map(str, arguments)],
        env=env or os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT / "tests" / "runtime",
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shares(photo: np.ndarray) -> dict[str, float]:
    """Each colour's share in a photo, what the model scores."""
    blue, green, red = photo.reshape(-1, 3).mean(0) / 255
    return {"red": red, "green": green, "blue": blue}


def test_a_detector_finds_what_is_there(bundle: Path, cat: np.ndarray) -> None:
    detector = Detector(bundle)
    assert (detector.engine, detector.classes) == ("tvm", COLOURS)
    found = detector.detect(cat)
    height, width = cat.shape[:2]
    for each in found.to_dict():
        expected = COLOUR_BOXES[COLOURS.index(each["label"])] * ([width, height] * 2) / SIZE
        np.testing.assert_allclose(each["box"], expected, atol=0.06)
        assert each["score"] == pytest.approx(shares(cat)[each["label"]], abs=0.01)
    assert len(found) == 3
    assert detector.model_sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()


def test_the_precision_is_that_of_the_compiled_weights(tmp_path: Path) -> None:
    path = colour_bundle(tmp_path / "half.passd", precision="fp16")
    assert MANIFEST.model.precision == "int8"
    assert Detector(path).info.precision == "fp16"


def test_an_answer_stays_when_the_next_is_computed(bundle: Path) -> None:
    engine = load_engine(bundle, threads=2)
    images = [np.full((1, 3, SIZE, SIZE), level, np.float32) for level in (0, 51, 255)]
    answers = [engine.run(image) for image in images]
    for (boxes, scores), level in zip(answers, (0, 0.2, 1), strict=True):
        np.testing.assert_array_equal(boxes[0], COLOUR_BOXES)
        np.testing.assert_allclose(scores[0, :, 1:], level * np.eye(3), atol=1e-6)


def test_an_image_may_lie_anywhere_in_memory(bundle: Path) -> None:
    engine = load_engine(bundle, threads=1)
    values = np.random.default_rng(0).random((SIZE, SIZE, 3), np.float32).transpose(2, 0, 1)[None]
    memory = np.zeros(values.nbytes + 1, np.uint8)
    odd = memory[1:].view(np.float32).reshape(values.shape)
    odd[:] = values
    assert odd.ctypes.data % 4
    for layout in (values, odd):
        expected = values.mean((2, 3))[0] / 255
        np.testing.assert_allclose(engine.run(layout)[1][0].diagonal(1), expected, atol=1e-6)


def test_two_libraries_in_one_process_stay_apart(bundle: Path, tmp_path: Path) -> None:
    """Both carry one file name, and the dynamic loader goes by names."""
    grey = np.full((1, 3, SIZE, SIZE), 51, np.float32)
    for round_number in range(3):
        for white in (102, 204):
            path = tmp_path / f"{round_number}.passd"
            engine = load_engine(colour_bundle(path, colour_library(white)), threads=1)
            assert engine.run(grey)[1][0, 0, 1] == pytest.approx(51 / white)
    assert load_engine(bundle).run(grey)[1][0, 0, 1] == pytest.approx(0.2)


def test_many_threads_may_share_one_engine(bundle: Path) -> None:
    engine = load_engine(bundle, threads=2)
    images = [np.full((1, 3, SIZE, SIZE), level, np.float32) for level in range(256)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(engine.run, images))
    scores = [scores[0, 0, 1] for _, scores in answers]
    np.testing.assert_allclose(scores, np.arange(256) / 255, atol=1e-6)


THREADS = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from edge_passd.engines.table import load_engine

def threads():
    return len(os.listdir("/proc/self/task"))

def settled(count):
    for _ in range(200):  # a worker notices that it is not needed any more when it wakes up
        if threads() == count:
            break
        time.sleep(0.05)
    return threads()

image = np.full((1, 3, 64, 64), 51, np.float32)
before, engines, added, scores = threads(), [], [], []
for count in (1, 3, 2, None):
    at = threads()
    engines.append(load_engine(Path(sys.argv[1]), "tvm", count))
    engines[-1].run(image)
    added.append(threads() - at)
scores = [float(engine.run(image)[1][0, 0, 1]) for _ in range(3) for engine in engines]
cores = os.sched_getaffinity(0)
pinned = [os.sched_getaffinity(int(task)) != cores for task in os.listdir("/proc/self/task")]
engines.clear()
print(json.dumps([before, added, scores, len(cores), any(pinned), settled(before)]))
"""


def test_each_engine_has_the_threads_it_was_made_with(bundle: Path) -> None:
    before, added, scores, cores, pinned, after = python(THREADS, bundle)
    assert added == [1, 3, 2, cores]
    np.testing.assert_allclose(scores, 0.2, atol=1e-6)
    assert not pinned
    assert after == before


ON_A_BOARD = """
import json, os, sys
from importlib.util import find_spec
from edge_passd import Detector
detector = Detector(sys.argv[1], threads=2)
import numpy as np
photo = np.full((40, 50, 3), (51, 102, 204), np.uint8)
found = {each["label"]: each["score"] for each in detector.detect(photo).to_dict()}
executed = [line for line in open("/proc/self/maps") if "r-xp" in line and "memfd:" in line]
packages = [name for name in ("tvm", "tvm_ffi") if find_spec(name)]
print(json.dumps([found, packages, len(executed)]))
"""


def test_a_board_needs_nothing_of_tvm(complete: Path, board: dict[str, str]) -> None:
    found, packages, in_memory = python(ON_A_BOARD, complete, env=board)
    assert packages == []
    assert found == pytest.approx({"red": 0.8, "green": 0.4, "blue": 0.2}, abs=1e-4)
    assert in_memory == 3, "the runtime's two libraries and the model's"
    assert not list(Path(board["TMPDIR"]).iterdir()), "left on disk"


def board_command(board: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-m", "edge_passd", *map(str, arguments)],
        env=board, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def test_without_a_runtime_the_extra_is_named(bundle: Path, board: dict[str, str]) -> None:
    photo = ROOT / "docs" / "images" / "chelsea.png"
    done = board_command(board, "run", bundle, "--source", photo)
    assert done.returncode == 2
    assert 'pip install "edge-passd[targets]"' in done.stderr
    assert done.stderr.count("\n") == 1


AND_TVM = """
import json, sys
sys.path.insert(0, ".")
from pathlib import Path
import numpy as np
from edge_passd.engines.table import load_engine
engine = load_engine(Path(sys.argv[1]), "tvm", 2)
assert "tvm" not in sys.modules
import tvm
from fake_bundles import colour_library
from fake_models import SIZE
assert len(colour_library(204)) > 0
grey = np.full((1, 3, SIZE, SIZE), 51, np.float32)
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "libtvm_ffi.so" in line}
print(json.dumps([float(engine.run(grey)[1][0, 0, 1]), len(libraries)]))
"""


def test_tvm_can_be_imported_afterwards(complete: Path) -> None:
    score, copies = python(AND_TVM, complete)
    assert score == pytest.approx(0.2)
    assert copies == 1


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as error:
        load_engine(path, "tvm", threads=1).run(np.zeros((1, 3, SIZE, SIZE), np.float32))
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workspace_bytes": 128}, ("is broken", "workspace.shape[0]", "expected 64")),
        ({"boxes": 4}, ("is broken", "boxes.shape[1]", "expected 3")),
    ],
    ids=["workspace", "boxes"],
)
def test_a_plan_that_does_not_fit_the_library_is_bad_input(
    changes: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    message = refused(colour_bundle(tmp_path / "m.passd", plan=replace(PLAN, **changes)))
    for word in words:
        assert word in message


def test_a_library_that_is_none_is_bad_input(tmp_path: Path) -> None:
    machine = os.uname().machine
    assert "cannot load it" in refused(colour_bundle(tmp_path / "m.passd", elf(machine)))
    import tvm
    from colours_tvm import colours

    run = colours(255)["run"].with_attr("global_symbol", "walk")
    half = compiled(tvm.IRModule({"walk": run}))
    assert "no function run" in refused(colour_bundle(tmp_path / "m.passd", half))


def test_a_runtime_that_is_none_is_bad_input(tmp_path: Path) -> None:
    plan = replace(PLAN, runtime=(PLAN.library,))
    assert "is not TVM's C interface" in refused(colour_bundle(tmp_path / "m.passd", plan=plan))


def test_another_machine_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    other = next(machine for machine in TARGETS if machine != os.uname().machine)
    assert f"is for Linux on {other}" in refused(idle_bundle(tmp_path / "m.passd", other))
    wish = replace(TARGETS[os.uname().machine], features=("sixth_sense",))
    path = colour_bundle(tmp_path / "m.passd", elf(os.uname().machine), target=wish)
    assert "needs sixth_sense" in refused(path)
