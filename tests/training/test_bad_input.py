"""`start` and `resume` refuse what they cannot use: one line that names the file."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_passd.errors import BadInput
from edge_passd.files import read_json
from quant.run_folder import RunFolder
from quant.tensors import read_tensors, write_tensors
from quant.training.train import resume, start
from tests.training import tiny

HEAD = "propose-attend"


@pytest.fixture(scope="module")
def trained(photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    run = tmp_path_factory.mktemp("runs") / "run"
    start(run, tiny.make_config(photo_set, epochs=1), HEAD, tiny.SIZE)
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run; its files are linked, so replace them and never write into them."""
    shutil.copytree(trained, tmp_path / "run", copy_function=os.link)
    return RunFolder(tmp_path / "run")


def replace(path: Path, content: bytes | dict[str, Any]) -> None:
    path.unlink()
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_there_is_no_run_to_resume(tmp_path: Path) -> None:
    message = refused(lambda: resume(tmp_path / "nothing"))
    assert str(tmp_path / "nothing") in message
    assert "no run to resume" in message


def test_a_run_is_not_started_over(run: RunFolder, photo_set: Path) -> None:
    before = run.checkpoint.stat()
    message = refused(lambda: start(run.path, tiny.make_config(photo_set), HEAD, tiny.SIZE))
    assert str(run.path) in message
    assert "holds a run already" in message
    assert run.checkpoint.stat() == before


@pytest.mark.parametrize(
    ("changes", "head", "size", "message"),
    [
        ({"batch_size": 11}, HEAD, 64, r"10 photos are too few for a batch of 11"),
        ({"batch_size": 1}, HEAD, 64, r"batches of two photos or more"),
        ({"data": "/nowhere"}, HEAD, 64, r"^/nowhere: no data set"),
        ({"init": "/nowhere.safetensors"}, HEAD, 64, r"^/nowhere\.safetensors: no such file"),
        ({}, "propose-and-pray", 64, r"no head 'propose-and-pray'; there are plain, "),
        ({}, HEAD, 100, r"input size 100 is not a multiple of 64"),
        ({}, HEAD, 0, r"input size 0 is not a multiple of 64"),
        ({"sizes": ((832, 0.5),)}, HEAD, 64, r"sizes: .* 64 px cannot train at 832 px"),
        ({"sizes": ((320, 0.5),)}, HEAD, 768, r"sizes: .* 768 px cannot train at 320 px"),
    ],
)
def test_a_refused_start_leaves_no_run_behind(
    changes: dict[str, Any], head: str, size: int, message: str, photo_set: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny.make_config(photo_set), **changes)
    with pytest.raises(BadInput, match=message):
        start(tmp_path / "run", config, head, size)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, not 0"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1"),
        ({"sizes": ((100, 0.5),)}, "100:0.5 is not a multiple of 64"),
        ({"sizes": ((64, 0.0),)}, "64:0.0 is not .* a share above 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        tiny.make_config(Path("data"), **changes)


def other_classes(run: RunFolder) -> None:
    data = tiny.write_photo_set(run.path.parent / "renamed")
    for split in ("train", "val"):
        path = data / f"{split}.json"
        path.write_text(path.read_text().replace('"cat"', '"lion"'))
    replace(run.training, {**read_json(run.training), "data": str(data)})


def change_model(run: RunFolder, **changes: Any) -> None:
    replace(run.model, {**read_json(run.model), **changes})


def change_training(run: RunFolder, **changes: Any) -> None:
    replace(run.training, {**read_json(run.training), **changes})


def another_head(run: RunFolder) -> None:
    plain = {"propose": "none", "attend": "fixed"}
    change_model(run, model={**read_json(run.model)["model"], **plain})


def change_header(run: RunFolder, **changes: str) -> None:
    tensors, header = read_tensors(run.checkpoint)
    write_tensors(run.checkpoint, tensors, {**header, **changes})


def change_tensor(run: RunFolder, name: str, value: torch.Tensor | None) -> None:
    tensors, header = read_tensors(run.checkpoint)
    del tensors[name]
    write_tensors(run.checkpoint, tensors if value is None else {**tensors, name: value}, header)


def cut_short(run: RunFolder) -> None:
    replace(run.checkpoint, run.checkpoint.read_bytes()[:1_000_000])


CHECKPOINT = "checkpoint.safetensors"
FILTERS, BIAS = "model.attend.projection.weight", "model.attend.bias"

# How a run is damaged, the file that the message names, and what else it says.
DAMAGES: dict[str, tuple[Callable[[RunFolder], None], str, str]] = {
    "other classes": (other_classes, "renamed", "lion, person, cup; .* with cat, person, cup"),
    "another head": (another_head, CHECKPOINT, "'propose.* is not of this model"),
    "cut short": (cut_short, CHECKPOINT, "not a readable safetensors file"),
    "a pickle": (
        lambda run: replace(run.checkpoint, b"PK\x03\x04"),
        CHECKPOINT,
        "not a readable safetensors file",
    ),
    "no checkpoint": (
        lambda run: replace(run.checkpoint, run.best.read_bytes()),
        CHECKPOINT,
        "not a checkpoint of this version",
    ),
    "another version": (
        lambda run: change_header(run, schema="0"),
        CHECKPOINT,
        "not a checkpoint of this version",
    ),
    "broken state": (
        lambda run: change_header(run, state="{"),
        CHECKPOINT,
        "training state is broken",
    ),
    "strange state": (
        lambda run: change_header(run, state='{"pages": 3}'),
        CHECKPOINT,
        "training state is broken .*pages",
    ),
    "missing weight": (
        lambda run: change_tensor(run, FILTERS, None),
        CHECKPOINT,
        "'attend.projection.weight' is missing",
    ),
    "misshapen weight": (
        lambda run: change_tensor(run, BIAS, torch.zeros(3)),
        CHECKPOINT,
        r"'attend.bias' has shape \(3,\)",
    ),
    "missing average": (
        lambda run: change_tensor(run, "average.attend.bias", None),
        CHECKPOINT,
        "averaged weights",
    ),
    "model of another version": (
        lambda run: change_model(run, schema=99),
        "model.json",
        "not a run of this version",
    ),
    "model gone": (lambda run: run.model.unlink(), "model.json", "no such"),
    "recipe broken": (
        lambda run: replace(run.training, b"{"),
        "training.json",
        "not valid UTF-8 JSON",
    ),
    "recipe with more in it": (
        lambda run: change_training(run, mood="good"),
        "training.json",
        "not a training configuration of this version .*mood",
    ),
    "recipe with a word for a number": (
        lambda run: change_training(run, epochs="many"),
        "training.json",
        "not a training configuration of this version",
    ),
    "recipe out of range": (
        lambda run: change_training(run, batch_size=-1),
        "training.json",
        "batch_size must be 1 or more",
    ),
}


@pytest.mark.parametrize(("damage", "file", "message"), DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_run_is_not_resumed(
    damage: Callable[[RunFolder], None], file: str, message: str, run: RunFolder
) -> None:
    damage(run)
    text = refused(lambda: resume(run.path))
    assert re.search(message, text)
    assert file in text


def test_the_copied_run_itself_is_fine(run: RunFolder) -> None:
    best = resume(run.path)
    assert best is not None
    assert 0 <= best <= 1
