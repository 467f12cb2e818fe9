"""A run folder gives back its best model, or says in one line what it lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_passd.errors import BadInput
from edge_passd.files import read_json
from quant.model import ModelConfig
from quant.model.config import HEADS
from quant.run_folder import RunFolder, load_run
from quant.tensors import write_tensors
from quant.training.trainer import random_model

CONFIG = ModelConfig(("cat", "cup"), 64, **HEADS["propose-attend"])
FIGURES = {"AP": 0.25, "epoch": 3}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.write_model(CONFIG, FIGURES)
    write_tensors(folder.best, random_model(CONFIG, seed=3).state_dict(), {})
    return folder


def test_the_best_model_comes_back(run: RunFolder) -> None:
    model, figures = load_run(run.path)
    assert figures == FIGURES
    assert model.config == CONFIG
    assert not model.training
    for name, value in random_model(CONFIG, seed=3).state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)


def change(run: RunFolder, **values: Any) -> None:
    run.model.write_text(json.dumps({**read_json(run.model), **values}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: run.model.unlink(), r"run: no run folder \(model\.json is missing\)"),
        (lambda run: run.best.unlink(), r"best\.safetensors: missing; .* no measured weights"),
        (lambda run: run.model.write_text("{"), r"model\.json: not valid UTF-8 JSON"),
        (lambda run: run.model.write_bytes(b"\xff\xfe"), r"model\.json: not valid UTF-8 JSON"),
        (lambda run: run.model.write_text("[]"), r"model\.json: must be a JSON object"),
        (lambda run: change(run, schema=2), r"model\.json: not a run of this version"),
        (lambda run: change(run, model=None), r"model\.json: not a run of this version"),
        (lambda run: change(run, model={}), r"model\.json: .*classes"),
        (
            lambda run: change(run, model={**CONFIG.to_dict(), "wings": 2}),
            r"model\.json: not a model configuration of this version .*wings",
        ),
        (
            lambda run: run.best.write_bytes(run.best.read_bytes()[:1000]),
            r"best\.safetensors: not a readable safetensors file",
        ),
        (
            lambda run: change(run, model={**CONFIG.to_dict(), "classes": ["cat"]}),
            r"best\.safetensors: tensor 'attend.bias' has shape \(3, 7\), the model needs \(3, 6\)",
        ),
        (
            lambda run: change(run, model={**CONFIG.to_dict(), **HEADS["plain"]}),
            r"best\.safetensors: tensor 'propose\.objectness\.bias' is not of this model",
        ),
        (
            lambda run: change(run, model={**CONFIG.to_dict(), **HEADS["propose-deformable"]}),
            r"best\.safetensors: tensor 'attend\.tap_offsets\.bias' is missing",
        ),
    ],
)
def test_a_damaged_run_says_which_file(damage: Any, message: str, run: RunFolder) -> None:
    damage(run)
    with pytest.raises(BadInput, match=message) as caught:
        load_run(run.path)
    assert "\n" not in str(caught.value)
    assert str(run.path) in str(caught.value)


def test_a_model_written_again_replaces_the_old_one(run: RunFolder) -> None:
    run.write_model(CONFIG, {"AP": 0.5})
    assert run.read_model() == (CONFIG, {"AP": 0.5}, None)
    assert sorted(path.name for path in run.path.iterdir()) == ["best.safetensors", "model.json"]
