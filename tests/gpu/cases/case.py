"""One launch: the step that it computes, what it is given, and what it must write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias
from unittest.mock import patch

import numpy as np

from targets.gpu.arithmetic import ARITHMETIC, SHIFT, Arithmetic
from targets.gpu.board import DOT, SIMT, TENSOR
from targets.gpu.emulator.engine import POISON
from targets.gpu.lower import Lowered, Schedule, lower_steps
from targets.gpu.steps import Step
from targets.graph import Tensor

MULTIPROCESSORS = 8


@dataclass(frozen=True)
class Family:
    """Kernels of one precision. units: what multiplies, one of `targets.gpu.board.FAMILIES`."""

    precision: str
    units: str

    @property
    def arithmetic(self) -> Arithmetic:
        return ARITHMETIC[self.precision]

    def __str__(self) -> str:
        return f"{self.precision}_{self.units}"


INT8, FP16, FP32 = (Family(precision, SIMT) for precision in ("int8", "fp16", "fp32"))
PRECISIONS = (INT8, FP16, FP32)
FAMILIES = (
    *PRECISIONS,
    Family("int8", DOT),
    Family("int8", TENSOR),
    Family("fp16", TENSOR),
)


class Wanted(NamedTuple):
    """values: float64 or integers as in ONNX. limits: how far floats may be off, in this shape."""

    values: np.ndarray
    limits: np.ndarray


@dataclass(frozen=True, eq=False)
class Case:
    """inputs: (photos, H, W, C) values, integers as in ONNX. expected: of tensors, in that shape.

    image: (photos, 3, S, S) float32. outputs: boxes (photos, N, 4) and scores (photos, N, C), of
    a step that writes them. choices: what functions of the schedule say instead, by their names:
    a choice is a matter of speed, so that all of them must be right for all shapes.
    """

    step: Step
    schedule: Schedule
    inputs: Mapping[Tensor, np.ndarray]
    expected: Mapping[Tensor, Wanted]
    image: np.ndarray | None = None
    outputs: Mapping[str, Wanted] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)

    def lowered(self) -> Lowered:
        boxes, classes = (self._sizes[name][-1] for name in ("boxes", "scores"))
        size = 1 if self.image is None else self.image.shape[-1]
        with ExitStack() as stack:
            for name, choice in self.choices.items():
                stack.enter_context(patch(name, return_value=choice))
            return lower_steps((self.step,), self.schedule, size, boxes // 4, 4 * classes // boxes)

    @property
    def _sizes(self) -> Mapping[str, tuple[int, int]]:
        """Photos, and elements of each one's boxes and scores."""
        photos, blank = self.schedule.batch, {"boxes": 4, "scores": 1}
        return {
            name: (photos, self.outputs[name].values[0].size if self.outputs else size)
            for name, size in blank.items()
        }

    def arrays(self, lowered: Lowered, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """As `targets.gpu.emulator.engine.ARRAYS`; what the launch does not read is poison."""
        photos = self.schedule.batch
        workspace = np.full(lowered.workspace.size * photos, POISON, np.uint8)
        for tensor, values in self.inputs.items():
            for photo, each in enumerate(values):
                self._place(workspace, lowered, tensor, photo)[:] = in_memory(
                    each, tensor, self.schedule.arithmetic, rng
                )
        image = np.zeros((photos, 3, 1, 1), np.float32) if self.image is None else self.image
        boxes, scores = (
            np.full(4 * np.prod(size), POISON, np.uint8).view(np.float32)
            for size in self._sizes.values()
        )
        return np.frombuffer(lowered.constants.content, np.uint8), workspace, image, boxes, scores

    def check(
        self, name: str, lowered: Lowered, before: np.ndarray, after: tuple[np.ndarray, ...]
    ) -> None:
        """AssertionError unless `after` is what the launch must leave.

        before: the workspace as it was; all of it that is no output must be that still.
        """
        arithmetic, (_, workspace, _, *ends) = self.schedule.arithmetic, after
        others = np.ones(workspace.size, np.uint8)
        for tensor, wanted in self.expected.items():
            for photo, limits in enumerate(wanted.limits):
                memory = self._place(workspace, lowered, tensor, photo)
                self._place(others, lowered, tensor, photo).view(np.uint8)[:] = 0
                found, padding = np.split(memory.astype(np.float64), [tensor.channels], -1)
                values = found + SHIFT if arithmetic.integers else found
                _check(f"{name}, {tensor.name}", values, wanted.values[photo], limits)
                assert np.isfinite(padding).all(), f"{name}: padding that is no number"
                assert (np.abs(padding) < 1e6).all(), f"{name}: padding that nothing wrote"
        changed = np.flatnonzero((workspace != before) & (others == 1))
        assert not changed.size, f"{name}: byte {changed[0]} of the workspace is no output's"
        for (label, wanted), array in zip(self.outputs.items(), ends, strict=False):
            found = array.reshape(wanted.values.shape)
            _check(f"{name}, {label}", found, wanted.values, wanted.limits)

    def _place(
        self, workspace: np.ndarray, lowered: Lowered, tensor: Tensor, photo: int
    ) -> np.ndarray:
        """(H, W, pitch): a tensor where it lies."""
        arithmetic = self.schedule.arithmetic
        start = photo * lowered.workspace.size + lowered.workspace.offsets[tensor]
        flat = workspace[start : start + arithmetic.bytes_of(tensor)].view(arithmetic.stored)
        return flat.reshape(tensor.height, tensor.width, arithmetic.pitch(tensor.channels))


def in_memory(
    values: np.ndarray, tensor: Tensor, arithmetic: Arithmetic, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, C) values, integers as in ONNX, to (H, W, pitch); the padding is anything finite."""
    shape = *values.shape[:2], arithmetic.pitch(tensor.channels)
    memory: np.ndarray = rng.normal(0, 100, shape)
    if arithmetic.integers:
        memory = rng.integers(-128, 128, shape)
    memory[..., : tensor.channels] = values - (SHIFT if arithmetic.integers else 0)
    return memory.astype(arithmetic.stored)


def stored(values: np.ndarray, error: np.ndarray, arithmetic: Arithmetic) -> Wanted:
    """Values that are off by `error` before they are rounded to what is stored."""
    if arithmetic.precision != "fp16":
        return Wanted(values, error)
    least = 2.0**-25  # half of the smallest half
    return Wanted(values, error + 2.0**-11 * (np.abs(values) + error) + least)


def together(parts: list[Wanted]) -> Wanted:
    """One for each photo, as one."""
    return Wanted(*(np.stack(each) for each in zip(*parts, strict=True)))


def photos_of(values: np.ndarray, photos: int) -> np.ndarray:
    """(H, W, C) to (photos, H, W, C), each another photo."""
    return np.stack([np.roll(values, photo, (0, 1, 2)) for photo in range(photos)])


def schedule_for(family: Family, photos: int) -> Schedule:
    return Schedule(family.arithmetic, family.units, MULTIPROCESSORS, photos)


def _check(name: str, found: np.ndarray, values: np.ndarray, limits: np.ndarray) -> None:
    off = np.abs(found.astype(np.float64) - values)
    bad = ~(off <= limits)  # this way round a NaN is bad
    assert not bad.any(), (
        f"{name}: {bad.sum()} of {bad.size} are off, the first at "
        f"{tuple(np.argwhere(bad)[0].tolist())}: {found[bad][0]} for {values[bad][0]}"
    )


Make: TypeAlias = "Callable[[Family], Case]"
Cases: TypeAlias = "Mapping[str, Make]"  # by name, a different one for each case of a library
