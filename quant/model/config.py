"""What a MobileNet-PASSD is made of, as data: one JSON object in every run folder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edge_passd.boxes import VOC_SCALES, strides_for
from edge_passd.errors import BadInput

Propose = Literal["none", "unclipped", "clipped"]
Attend = Literal["fixed", "deformable", "adaptive"]

# The rows of the paper's Table 1: how boxes are proposed and where the last convolution looks.
HEADS: dict[str, dict[str, Any]] = {
    "plain": {"propose": "none", "attend": "fixed", "dilation": 1},
    "propose-unclipped": {"propose": "unclipped", "attend": "fixed", "dilation": 1},
    "propose": {"propose": "clipped", "attend": "fixed", "dilation": 1},
    "propose-dilation2": {"propose": "clipped", "attend": "fixed", "dilation": 2},
    "propose-dilation3": {"propose": "clipped", "attend": "fixed", "dilation": 3},
    "propose-deformable": {"propose": "clipped", "attend": "deformable", "dilation": 1},
    "propose-attend": {"propose": "clipped", "attend": "adaptive", "dilation": 1},
}


@dataclass(frozen=True)
class ModelConfig:
    """A model's shape.

    classes: names without the background, in index order; at least one.
    input_size: side of the square input in pixels, a multiple of 64.
    scales: sides of the default boxes of a cell, in units of 4 strides.
    propose, attend, dilation: the head, see `HEADS`.
    mean, std: per RGB channel, on pixel values 0-255; x/127.5 - 1 for TF-slim backbones.
    point_gradient: let the loss of the last stage move the sampling points.
    """

    classes: tuple[str, ...]
    input_size: int = 320
    scales: tuple[float, ...] = VOC_SCALES
    propose: Propose = "clipped"
    attend: Attend = "adaptive"
    dilation: int = 1
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    point_gradient: bool = False

    def __post_init__(self) -> None:
        for name, (is_good, wanted) in _FIELDS.items():
            if not is_good(getattr(self, name)):
                raise ValueError(f"{name} must be {wanted}, not {getattr(self, name)!r:.60}")
        strides_for(self.input_size)
        if self.attend == "adaptive" and self.propose == "none":
            raise ValueError("an adaptive attend stage needs proposed boxes to attend to")

    @property
    def outputs(self) -> int:
        """Outputs of the attend head for each default box: C class logits and 4 offsets."""
        return len(self.classes) + 1 + 4

    @property
    def strides(self) -> tuple[int, ...]:
        return strides_for(self.input_size)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: Path) -> ModelConfig:
        """Inverse of `to_dict` after a round through JSON, read from the file `source`.

        Raises BadInput that names the file and what does not fit.
        """
        lists: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        try:
            return cls(**lists)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"{source}: not a model configuration of this version ({error}); train it again"
            ) from error


def _are_names(value: Any) -> bool:
    names = isinstance(value, tuple) and all(isinstance(name, str) for name in value)
    return names and 0 < len(value) == len(set(value))


def _are_numbers(value: Any, above: float = -math.inf) -> bool:
    numbers = isinstance(value, tuple) and all(type(number) in (int, float) for number in value)
    return numbers and len(value) > 0 and all(above < number < math.inf for number in value)


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "classes": (_are_names, "one or more distinct names"),
    "input_size": (lambda value: type(value) is int, "a whole number of pixels"),
    "scales": (lambda value: _are_numbers(value, above=0), "one or more positive numbers"),
    "propose": (lambda value: value in get_args(Propose), f"one of {get_args(Propose)}"),
    "attend": (lambda value: value in get_args(Attend), f"one of {get_args(Attend)}"),
    "dilation": (lambda value: type(value) is int and value > 0, "a positive whole number"),
    "mean": (lambda value: _are_numbers(value) and len(value) == 3, "three numbers"),
    "std": (lambda value: _are_numbers(value, above=0) and len(value) == 3, "three above zero"),
    "point_gradient": (lambda value: type(value) is bool, "true or false"),
}
