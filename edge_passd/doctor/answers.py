"""What engines are tried on, and what they must answer: files that ship with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "operators"
ANSWERS = FOLDER / "answers.npz"
MODEL_ANSWER = FOLDER / "model.npz"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class OperatorAnswer:
    """Inputs of one case, its outputs and, of some, the constants in between; by name."""

    inputs: Arrays
    outputs: Arrays
    constants: Arrays


@dataclass(frozen=True)
class ModelAnswer:
    """Part of what the shipped model says of the cat.

    index: (n,) int64 of default boxes; boxes: (n, 4) and scores: (n, C) float32, as of an engine.
    sha256: of the model.
    """

    index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    sha256: str


def operator_answer(name: str, path: Path = ANSWERS) -> OperatorAnswer:
    """Of one case in `cases.CASES`."""
    with np.load(path) as archive:
        inputs, outputs, constants = (
            {
                key.rpartition("/")[2]: archive[key]
                for key in archive.files
                if key.startswith(f"{name}/{side}/")
            }
            for side in ("in", "out", "constant")
        )
    return OperatorAnswer(inputs, outputs, constants)


def model_answer(path: Path = MODEL_ANSWER) -> ModelAnswer:
    """Of the model that ships with the package."""
    with np.load(path) as archive:
        index, boxes, scores = (archive[key] for key in ("index", "boxes", "scores"))
        return ModelAnswer(index, boxes, scores, str(archive["sha256"]))
