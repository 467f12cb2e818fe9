"""Does a compiled model compute on this GPU what the reference does, operator by operator too?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.gpu_folder import Index, Variant, Written, read_arrays, sampled
from edge_passd.bundle import read_manifest
from edge_passd.engines.cuda import CudaEngine
from edge_passd.parity import (
    COMPILED_FLOAT_LIMITS,
    COMPILED_HALF_LIMITS,
    EXACT_INT8_LIMITS,
    compare,
)
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input

LIMITS = {"fp32": COMPILED_FLOAT_LIMITS, "fp16": COMPILED_HALF_LIMITS, "int8": EXACT_INT8_LIMITS}
# Of what an operator writes, relative to all of it; on integers nothing may differ.
RELATIVE = {"fp32": 1e-4, "fp16": 1e-2, "int8": 0.0}


class Recorded:
    """What the reference computed for some images, as an `Engine`."""

    name = "reference"

    def __init__(
        self, metadata: str | None, images: Sequence[np.ndarray], answers: Mapping[str, np.ndarray]
    ) -> None:
        self.metadata = metadata
        self._answers = {
            _digest(image): (boxes[None], scores[None])
            for image, boxes, scores in zip(
                images, answers["boxes"], answers["scores"], strict=True
            )
        }

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._answers[_digest(image)]


class InBatch:
    """An engine of batches as one of single images, each at the next place of a batch.

    At the other places are the images before it, or noise.
    """

    name = "cuda"

    def __init__(self, engine: CudaEngine, size: int) -> None:
        self.metadata, self._engine, self._place = engine.metadata, engine, -1
        self._images = noise((engine.batch, 3, size, size))

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._place = (self._place + 1) % self._engine.batch
        self._images[self._place] = image[0]
        boxes, scores = self._engine.run(self._images)
        return boxes[self._place, None], scores[self._place, None]


def inputs_of(folder: Path, index: Index) -> list[np.ndarray]:
    """(1, 3, S, S) float32 of each photo."""
    return [to_input(read_photo(folder / name), index.size, "stretch")[0] for name in index.photos]


def batches(images: Sequence[np.ndarray], batch: int) -> list[np.ndarray]:
    """(batch, 3, S, S) each: as many as there are images, each with another one first."""
    count = len(images)
    return [
        np.concatenate([images[(first + i) % count] for i in range(batch)])
        for first in range(count)
    ]


def check(
    engine: CudaEngine, variant: Variant, folder: Path, index: Index, images: Sequence[np.ndarray]
) -> dict[str, Any]:
    """How a variant compares: "problem" is None, or says what is off first.

    operators: by name and map, the error relative to all that it writes, on integers the share of
    elements that differ.
    """
    answers = read_arrays(folder / variant.answers)
    known = len(answers["boxes"])
    reference = Recorded(engine.metadata, images[:known], answers)
    photos = [folder / name for name in index.photos[:known]]
    limits = LIMITS[variant.precision]
    if not variant.trained:  # whose boxes are so alike that rounding decides which of them is best
        limits = replace(limits, matched=0.0)
    parity = compare(reference, InBatch(engine, index.size), photos, limits)
    operators = dict(_operators(engine, variant, folder, images))
    limit = RELATIVE[variant.precision]
    wrong = [
        f"{name} is {error:.2g} off" for name, error in operators.items() if not error <= limit
    ]
    return {
        "name": variant.name,
        "problem": wrong[0] if wrong else parity.problem,
        "operators": operators,
        "parity": parity.to_dict(),
    }


def _operators(
    engine: CudaEngine, variant: Variant, folder: Path, images: Sequence[np.ndarray]
) -> Iterator[tuple[str, float]]:
    """Each operator runs on what those before it have left, from a photo's pixels on."""
    samples = read_arrays(folder / variant.samples)
    batch = batches(images, variant.batch)[0]
    engine.run(noise(batch.shape))  # what is not written now is not right from before
    for number, row in enumerate(read_manifest(folder / variant.bundle).operators):
        workspace = engine.run_operators(batch, number, number + 1)
        for i, each in enumerate(variant.written):
            if each.operator == number:
                found = _written(workspace, each, variant.batch)
                name = f"{row['name']} ({each.height} x {each.width} x {each.channels})"
                yield name, error_of(found[sampled(found.size)], samples[f"values{i}"])


def _written(workspace: np.ndarray, written: Written, batch: int) -> np.ndarray:
    """(H * W * C,): what is written for the last photo."""
    photo = workspace.reshape(batch, -1)[-1, written.offset :]
    size = written.height * written.width * written.pitch
    values = photo[: size * np.dtype(written.dtype).itemsize].view(written.dtype)
    return values.reshape(-1, written.pitch)[:, : written.channels].reshape(-1)


def error_of(found: np.ndarray, wanted: np.ndarray) -> float:
    """Of floats relative, all together; of integers the share that differs."""
    if wanted.dtype == np.int8:
        return float(np.mean(found != wanted))
    difference = np.linalg.norm(found.astype(np.float64) - wanted)
    error = difference / max(float(np.linalg.norm(wanted)), 1e-30)
    return float(error) if np.isfinite(error) else float("inf")


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Pixels, always the same."""
    return np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()
