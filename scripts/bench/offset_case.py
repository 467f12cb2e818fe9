"""The offset convolution alone: its inputs on all levels, its weights, and what must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_passd.boxes import VOC_SCALES, cells_for
from edge_passd.offset_sample import TAPS, offset_sample

CHANNELS = 256
ANCHORS = len(VOC_SCALES)

# Spread of the boxes about the default ones, as a trained model's: raw offsets of half a unit.
_SPREAD = 0.5


@dataclass(frozen=True)
class OffsetCase:
    """All float32; D = C + 4 outputs for each of A = 3 boxes in a cell.

    features: (1, 256, H, W) for each level. boxes: (1, A, 4, H, W) of cy, cx, h, w in cells for
    each level. weight: (A * 9 * D, 256), rows in the order anchor, tap, output. bias: (A, D).
    """

    features: tuple[np.ndarray, ...]
    boxes: tuple[np.ndarray, ...]
    weight: np.ndarray
    bias: np.ndarray

    @property
    def outputs(self) -> int:
        """D."""
        return self.bias.shape[1]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """By the names of an exported form's inputs: features0, boxes0, features1, ..."""
        return {
            f"{name}{level}": array
            for level, arrays in enumerate(zip(self.features, self.boxes, strict=True))
            for name, array in zip(("features", "boxes"), arrays, strict=True)
        }


@dataclass(frozen=True)
class Prepared:
    """A form of the case, loaded, with its inputs bound.

    run: what is timed; all levels. maps: what `run` returned, to (1, A, D, H, W) for each level;
    not timed, for a form that keeps its maps in another layout.
    """

    run: Callable[[], Any]
    maps: Callable[[Any], list[np.ndarray]] = list


def offset_case(classes: int, size: int = 320) -> OffsetCase:
    """Random features and boxes of an input of `size` px; classes: C, background included.

    Outputs are about as large as 1. The same arguments give the same case.
    """
    rng = np.random.default_rng(0)
    outputs = classes + 4
    cells = cells_for(size)
    weight = rng.normal(0, (CHANNELS * TAPS) ** -0.5, (ANCHORS * TAPS * outputs, CHANNELS))
    return OffsetCase(
        tuple(_float32(rng.normal(size=(1, CHANNELS, n, n))) for n in cells),
        tuple(_boxes(rng, n) for n in cells),
        _float32(weight),
        _float32(rng.normal(size=(ANCHORS, outputs))),
    )


def expected(case: OffsetCase) -> list[np.ndarray]:
    """(1, A, D, H, W) float64 for each level, by the reference of the sampling operator."""
    bias = case.bias.astype(np.float64)[None, :, :, None, None]
    results = []
    for features, boxes in zip(case.features, case.boxes, strict=True):
        maps = features.astype(np.float64).reshape(CHANNELS, -1)
        projected = (case.weight @ maps).reshape(1, -1, *features.shape[2:])
        sampled = offset_sample(projected, boxes.astype(np.float64), case.outputs)
        results.append(sampled + bias)
    return results


def _boxes(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Adjusted boxes of one level: eq. 2 with random offsets."""
    shift, stretch = rng.normal(0, _SPREAD, (2, ANCHORS, 2, cells, cells))
    centre = np.mgrid[:cells, :cells] + np.tanh(shift) / 2
    sides = 4 * np.asarray(VOC_SCALES)[:, None, None, None] * np.exp(stretch)
    return _float32(np.concatenate([centre, sides], axis=1)[None])


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
