"""A run folder: what a training leaves behind, and what eval, export and qat take.

model.json              ModelConfig, for an int8 run its Scheme, and, once measured, the figures
                        of the best weights
training.json           TrainConfig
best.safetensors        weights with the best validation AP, ready for use
checkpoint.safetensors  the whole training state, to resume from
metrics.csv, curves.png one row and one point for each epoch
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_passd.errors import BadInput
from edge_passd.files import read_json, write_text
from quant.int8.convert import quantise
from quant.int8.scheme import Scheme
from quant.model import PASSD, ModelConfig
from quant.tensors import load_exactly, read_tensors

SCHEMA = 1


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run and the reading and writing of its small files."""

    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model.json"

    @property
    def training(self) -> Path:
        return self.path / "training.json"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    def write_model(
        self, config: ModelConfig, figures: dict[str, Any], scheme: Scheme | None = None
    ) -> None:
        """model.json; figures: measured accuracy of the best weights and where it comes from.

        scheme: of a quantised model, None for a float one.
        """
        content = {"schema": SCHEMA, "model": config.to_dict(), "figures": figures}
        if scheme:
            content["int8"] = scheme.to_dict()
        write_text(self.model, json.dumps(content, indent=1) + "\n")

    def read_model(self) -> tuple[ModelConfig, dict[str, Any], Scheme | None]:
        content = read_json(self.model, "a run's model.json")
        if content.get("schema") != SCHEMA or not isinstance(content.get("model"), dict):
            raise BadInput(f"{self.model}: not a run of this version; train it again")
        config = ModelConfig.from_dict(content["model"], self.model)
        scheme = Scheme.from_dict(content["int8"], self.model) if "int8" in content else None
        return config, dict(content.get("figures") or {}), scheme


def load_run(path: Path) -> tuple[PASSD, dict[str, Any]]:
    """The best model of a run in evaluation mode, and its figures.

    Raises BadInput for a folder that is no run, or a run without measured weights yet.
    """
    run = RunFolder(path)
    if not run.model.is_file():
        raise BadInput(
            f"{path}: no run folder (model.json is missing); `edge-passd train` makes one"
        )
    config, figures, scheme = run.read_model()
    if not run.best.is_file():
        raise BadInput(f"{run.best}: missing; the run has no measured weights yet, let it train on")
    model = PASSD(config)
    if scheme:
        model = quantise(model, scheme)
    tensors, _ = read_tensors(run.best)
    load_exactly(model, tensors, run.best)
    return model.eval(), figures
