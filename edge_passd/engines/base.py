"""What an engine is, and the checks that every engine shares."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo

INPUT = "image"
OUTPUTS = ("boxes", "scores")


class Engine(Protocol):
    """A loaded model. Constructed as `Engine(path: Path, threads: int | None)`; None: its default.

    The constructor raises BadInput for a file that it cannot load.
    """

    @property
    def name(self) -> str:
        """Of the engine, as on the command line."""

    @property
    def metadata(self) -> str | None:
        """The JSON text that `ModelInfo.from_json` reads, or None where the model has none."""

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """image: (1, 3, S, S) float32 RGB 0..255.

        Returns boxes (1, N, 4) float32, x1 y1 x2 y2 in input pixels, and scores (1, N, C) float32
        after softmax, class 0 = background. Raises ValueError for another shape or dtype.
        """


def check_model(
    path: Path,
    metadata: str | None,
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Collection[str],
) -> ModelInfo:
    """The model's information, or BadInput if its graph breaks the contract of `Engine.run`."""
    info = ModelInfo.from_json(metadata, str(path))
    size = info.input_size
    if dict(inputs) != {INPUT: (1, 3, size, size)}:
        found = ", ".join(f"{name} {shape}" for name, shape in inputs.items()) or "nothing"
        raise BadInput(
            f"{path}: broken model: it takes {found}, not {INPUT} {(1, 3, size, size)}; "
            "export it again"
        )
    if missing := [name for name in OUTPUTS if name not in outputs]:
        raise BadInput(f"{path}: broken model: no output {missing[0]!r}; export it again")
    return info


def check_image(image: np.ndarray, size: int, batch: int = 1) -> None:
    """Raise ValueError unless `image` is (batch, 3, size, size) float32."""
    if image.shape != (batch, 3, size, size) or image.dtype != np.float32:
        raise ValueError(
            f"the model takes {(batch, 3, size, size)} float32, not {image.shape} {image.dtype}"
        )


def cannot_load(path: Path, engine: str, error: Exception) -> BadInput:
    """The error for a file that an engine's library refuses, with the last line it says."""
    return BadInput(f"{path}: {engine} cannot load it: {reason(error)}")


def reason(error: Exception) -> str:
    """The last line that an engine's library says, without what is before its "failed:"."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].rpartition("failed:")[2].strip().removeprefix("-- ")
