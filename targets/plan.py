"""Memory, planned ahead: one workspace for all tensors, one block of constants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from targets.graph import Tensor
from targets.layout import SLACK

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass(frozen=True)
class Workspace:
    """offsets: of each tensor, bytes. size: of the whole, bytes."""

    offsets: Mapping[Tensor, int]
    size: int


@dataclass(frozen=True)
class Constants:
    """offsets: by layer name and array name, bytes. content: of the whole."""

    offsets: Mapping[tuple[str, str], int]
    content: bytes


def plan_workspace(
    uses: Sequence[Collection[Tensor]], bytes_of: Callable[[Tensor], int]
) -> Workspace:
    """Tensors that are not alive together share memory: largest first, each as low as it fits.

    uses: what each step, in the order in which they run, reads and writes.
    """
    lives = _lives(uses)
    sizes = {tensor: _aligned(bytes_of(tensor)) for tensor in lives}
    offsets: dict[Tensor, int] = {}
    for tensor in sorted(lives, key=lambda each: -sizes[each]):
        start = 0
        for other in sorted(offsets, key=lambda each: offsets[each]):
            together = lives[other][0] <= lives[tensor][1] and lives[tensor][0] <= lives[other][1]
            if together and offsets[other] < start + sizes[tensor]:
                start = max(start, offsets[other] + sizes[other])
        offsets[tensor] = start
    return Workspace(offsets, max(offsets[each] + sizes[each] for each in lives))


def _lives(uses: Sequence[Collection[Tensor]]) -> dict[Tensor, tuple[int, int]]:
    """First and last step that touches each tensor."""
    lives: dict[Tensor, tuple[int, int]] = {}
    for i, tensors in enumerate(uses):
        for tensor in tensors:
            lives[tensor] = (lives.get(tensor, (i, i))[0], i)
    return lives


def plan_constants(arrays: Mapping[tuple[str, str], np.ndarray]) -> Constants:
    """All arrays in one block; equal ones, as of heads that share weights, once."""
    content, offsets, known = bytearray(), {}, {}
    for key, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        digest = hashlib.sha256(data).digest()
        if digest not in known:
            known[digest] = len(content)
            content += data + bytes(_aligned(len(data) + SLACK) - len(data))
        offsets[key] = known[digest]
    return Constants(offsets, bytes(content))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
