"""What benchmarks and evaluations take: `Detector`, or another one with the same face."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from edge_passd.detections import Detections
from edge_passd.model_info import ModelInfo


class AnyDetector(Protocol):
    """A detector whose stages can be called one by one, as `Detector` has them.

    What passes between the stages is its own: only `infer`'s input and outputs, and the placement,
    must fit each other.
    """

    @property
    def info(self) -> ModelInfo:
        """Name, classes, input size and precision."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""

    @property
    def engine(self) -> str:
        """Name of what computes."""

    @property
    def model_sha256(self) -> str | None:
        """Hexadecimal digest of the model."""

    def detect(self, image: np.ndarray) -> Detections:
        """All three stages: what is in a (H, W, 3) uint8 BGR photo, in its pixels."""

    @property
    def preprocess(self) -> Callable[[np.ndarray], tuple[Any, Any]]:
        """A (H, W, 3) uint8 BGR photo to the model's input and the photo's placement in it."""

    @property
    def infer(self) -> Callable[[Any], tuple[np.ndarray, ...]]:
        """The model's input to its outputs."""

    @property
    def postprocess(self) -> Callable[..., Detections]:
        """The model's outputs one by one, then the placement, to detections in photo pixels."""
