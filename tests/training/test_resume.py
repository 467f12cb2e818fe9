"""A training that is killed and resumed ends where an undisturbed one ends, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from quant.run_folder import RunFolder, load_run
from quant.tensors import read_tensors
from quant.training.train import resume, start
from quant.training.trainer import random_model
from tests.training import tiny

TIME = "images_per_second"  # the one figure that may differ
PATIENCE = 120.0  # seconds until a training that makes no progress fails the test


class Saves:
    """Counts how often a file has been replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._last: tuple[int, int] | None = None

    def look(self) -> int:
        if self.path.is_file():
            status = self.path.stat()
            now = status.st_ino, status.st_mtime_ns
            self.count += now != self._last
            self._last = now
        return self.count


def kill_when(process: ForkServerProcess, moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert process.is_alive(), f"ended by itself with {process.exitcode}"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.002)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def finished(process: ForkServerProcess) -> None:
    process.join(PATIENCE)
    assert process.exitcode == 0


@pytest.fixture(scope="module")
def undisturbed(
    photo_set: Path, forks: ForkServerContext, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("runs") / "undisturbed")
    config = tiny.make_config(photo_set)
    process = forks.Process(target=start, args=(run.path, config, "propose-attend", tiny.SIZE))
    process.start()
    finished(process)
    return run


@pytest.fixture(scope="module")
def killed(
    photo_set: Path, forks: ForkServerContext, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """A run of the same recipe that was killed three times on its way."""
    run = RunFolder(tmp_path_factory.mktemp("runs") / "killed")
    config = tiny.make_config(photo_set, save_seconds=0.0)  # after every step

    process = forks.Process(target=start, args=(run.path, config, "propose-attend", tiny.SIZE))
    process.start()
    kill_when(process, run.training.is_file)  # nothing is saved yet

    process = forks.Process(target=resume, args=(run.path,))
    process.start()
    saves = Saves(run.checkpoint)

    def while_saving() -> bool:
        return saves.look() >= 2 and any(run.path.glob(".checkpoint.*"))

    kill_when(process, while_saving)

    process = forks.Process(target=resume, args=(run.path,))
    process.start()
    more = Saves(run.checkpoint)
    delay = random.uniform(0, 0.5)
    due = [float("inf")]

    def a_little_after_the_next_save() -> bool:
        if more.look() >= 2:  # the file that was there counts as the first
            due[0] = min(due[0], time.monotonic() + delay)
        return time.monotonic() > due[0]

    kill_when(process, a_little_after_the_next_save)

    process = forks.Process(target=resume, args=(run.path,))
    process.start()
    finished(process)
    return run


def rows(run: RunFolder) -> list[dict[str, str]]:
    with run.metrics.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != TIME} for row in csv.DictReader(file)]


def state(run: RunFolder) -> dict[str, Any]:
    _, header = read_tensors(run.checkpoint)
    content = json.loads(header["state"])
    for row in content["history"]:
        del row[TIME]
    return content


def test_every_weight_and_moment_is_the_same(undisturbed: RunFolder, killed: RunFolder) -> None:
    expected, _ = read_tensors(undisturbed.checkpoint)
    found, _ = read_tensors(killed.checkpoint)
    assert found.keys() == expected.keys()
    assert {name.split(".")[0] for name in found} == {"model", "average", "optimiser"}
    different = [name for name in found if not torch.equal(found[name], expected[name])]
    assert different == []


def test_the_state_and_the_metrics_are_the_same(undisturbed: RunFolder, killed: RunFolder) -> None:
    assert state(killed) == state(undisturbed)
    assert rows(killed) == rows(undisturbed)
    assert [row["epoch"] for row in rows(killed)] == ["1", "2", "3"]
    assert all(float(row["loss"]) > 0 for row in rows(killed))


def test_the_best_weights_are_the_same(undisturbed: RunFolder, killed: RunFolder) -> None:
    assert killed.best.read_bytes() == undisturbed.best.read_bytes()
    assert killed.model.read_bytes() == undisturbed.model.read_bytes()
    model, figures = load_run(killed.path)
    assert model.config.classes == tiny.CLASSES
    assert figures["images"] == 3


def test_the_weights_were_trained(undisturbed: RunFolder) -> None:
    tensors, _ = read_tensors(undisturbed.checkpoint)
    initial = random_model(load_run(undisturbed.path)[0].config, seed=0).state_dict()
    unmoved = [k for k in initial if torch.equal(tensors[f"model.{k}"], initial[k])]
    assert unmoved == []


def test_resuming_a_finished_run_changes_nothing(
    undisturbed: RunFolder, forks: ForkServerContext
) -> None:
    before = undisturbed.checkpoint.read_bytes(), undisturbed.best.read_bytes()
    process = forks.Process(target=resume, args=(undisturbed.path,))
    process.start()
    finished(process)
    assert (undisturbed.checkpoint.read_bytes(), undisturbed.best.read_bytes()) == before


def test_what_a_training_leaves_behind(undisturbed: RunFolder, killed: RunFolder) -> None:
    for run in (undisturbed, killed):
        assert {path.name for path in run.path.iterdir()} == {
            "model.json",
            "training.json",
            "best.safetensors",
            "checkpoint.safetensors",
            "metrics.csv",
            "curves.png",
        }
