"""How a model is quantised: one object for PTQ, QAT and export."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edge_passd.errors import BadInput

Calibration = Literal["minmax", "mse"]
CALIBRATIONS: tuple[Calibration, ...] = get_args(Calibration)


@dataclass(frozen=True)
class IntegerRange:
    """The integers that a tensor's values become."""

    lowest: int
    highest: int

    @property
    def steps(self) -> int:
        return self.highest - self.lowest


# Activations are asymmetric, one scale and zero point for a tensor; weights symmetric, one scale
# for each output channel. Unsigned by signed is what integer dot products multiply (VNNI), and the
# only pairing that onnxruntime executes everywhere; without -128 a weight has its negative too.
ACTIVATION = IntegerRange(0, 255)
# By bits. An x86 processor without VNNI adds two products in 16 bits, which saturates: weights of
# 7 bits never do (2 * 255 * 63 < 2^15), those of 8 bits may.
WEIGHTS = {7: IntegerRange(-63, 63), 8: IntegerRange(-127, 127)}
# Schemes written before there was a choice.
FORMER_BITS = 8


@dataclass(frozen=True)
class Scheme:
    """What is quantised and where the ranges of activations come from.

    Layers are convolutions (with their ReLU6) and the pyramid's sums. A layer computes on integers
    unless `keep_float` names it; a tensor is quantised when a layer that does makes or takes it.
    Box coordinates, exp, tanh, softmax and sampling positions are float always.

    calibration: "mse" clips where the mean squared error is least, "minmax" never clips.
    bias_correction: take the mean error that rounded weights cause out of the biases.
    photos: how many of the training split the ranges are taken from.
    keep_float: layers, or groups of them by the start of their names ("backbone.blocks.0").
    weight_bits: 7, right on every processor, or 8, see `WEIGHTS`.
    """

    calibration: Calibration = "minmax"
    bias_correction: bool = True
    photos: int = 256
    keep_float: tuple[str, ...] = ()
    weight_bits: int = 7

    def __post_init__(self) -> None:
        if self.calibration not in CALIBRATIONS:
            raise BadInput(
                f"no calibration {self.calibration!r}; there are {', '.join(CALIBRATIONS)}"
            )
        if self.photos < 1:
            raise BadInput(f"calibration needs one photo or more, not {self.photos}")
        if self.weight_bits not in WEIGHTS:
            raise BadInput(f"weights of {self.weight_bits} bits; there are 7 and 8")

    @property
    def weights(self) -> IntegerRange:
        """The integers that weights become."""
        return WEIGHTS[self.weight_bits]

    def keeps_float(self, layer: str) -> bool:
        return any(layer == name or layer.startswith(f"{name}.") for name in self.keep_float)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any, source: Path) -> Scheme:
        """Inverse of `to_dict` after a round through JSON; BadInput that names the file."""
        try:
            known = {"weight_bits": FORMER_BITS, **values}
            return cls(**{**known, "keep_float": tuple(known.get("keep_float", ()))})
        except (TypeError, AttributeError, BadInput) as error:
            raise BadInput(
                f"{source}: not a quantisation scheme of this version ({error}); quantise anew"
            ) from error
