"""The order of packed weights, for every arithmetic there is: packing needs no such processor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets import arm, x86
from targets.isa.arithmetic import Arithmetic, Product

BOARDS = [board for module in (arm, x86) for board in module.BOARDS.values()]
LARGE, SMALL = (np.full((1, 8, 1, 1), value, np.int8) for value in (127, 1))


def forms(arithmetic: Arithmetic) -> list[Product | None]:
    """Itself, and what it leaves some layers to."""
    others = [arithmetic.for_weights(weights) for weights in (LARGE, SMALL)]
    return [arithmetic, *others, arithmetic.transformed()]


ARITHMETICS = sorted(
    {
        type(form)
        for board in BOARDS
        for kind in board.arithmetic.values()
        for form in forms(kind())
        if form is not None
    },
    key=lambda each: each.__name__,
)
# Instructions of these fold two neighbours, so that a vector has its lanes' first pairs first.
IN_PAIRS = {"NeonPairs", "NeonQuads"}
# This one has its lanes' even elements first.
EVEN_FIRST = {"Avx2Wide"}
# And this one all lanes' first elements, then their second.
STEP_BY_STEP = {"NeonSixteen"}


def place_in_vector(arithmetic: Product, lane: int, step: int) -> int:
    """Where a vector has the weight of a lane for element `step` of a group of K."""
    if type(arithmetic).__name__ in IN_PAIRS:
        return step // 2 * 2 * arithmetic.lanes + lane * 2 + step % 2
    if type(arithmetic).__name__ in EVEN_FIRST:
        return step % 2 * 2 * arithmetic.lanes + lane * 2 + step // 2
    if type(arithmetic).__name__ in STEP_BY_STEP:
        return step * arithmetic.lanes + lane
    return lane * arithmetic.depth + step


def packed(weights: np.ndarray, vectors: int, arithmetic: Product) -> list[int]:
    """Weight by weight: blocks of vectors, groups of K, vectors, what is inside a vector."""
    k, n = weights.shape
    lanes, depth = arithmetic.lanes, arithmetic.depth
    total = -(-n // lanes)
    found: list[int] = []
    for first in range(0, total, vectors):
        for group in range(k // depth):
            for vector in range(first, min(first + vectors, total)):
                inside = [0] * (lanes * depth)
                for lane in range(lanes):
                    for step in range(depth):
                        column = vector * lanes + lane
                        value = weights[group * depth + step, column] if column < n else 0
                        inside[place_in_vector(arithmetic, lane, step)] = int(value)
                found += inside
    return found


@pytest.mark.parametrize("kind", ARITHMETICS, ids=lambda kind: kind.__name__)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**31))
def test_weights_lie_as_the_kernel_reads_them(
    kind: type[Product], groups: int, outputs: int, vectors: int, seed: int
) -> None:
    arithmetic = kind()
    size = groups * arithmetic.depth, outputs
    weights = np.random.default_rng(seed).integers(-127, 128, size).astype(np.int8)
    found = arithmetic.pack(weights, vectors)
    assert found.dtype == arithmetic.weight
    assert found.tolist() == packed(weights, vectors, arithmetic)


def test_a_case_by_hand() -> None:
    """Two groups of K; five outputs, so that the second vector has three lanes of zeros."""
    weights = np.arange(1, 41).reshape(8, 5)
    found = arm.NeonDot().pack(weights, 1).reshape(2, 2, 4, 4)
    assert found[0, 0].tolist() == [[1, 6, 11, 16], [2, 7, 12, 17], [3, 8, 13, 18], [4, 9, 14, 19]]
    assert found[0, 1, 0].tolist() == [21, 26, 31, 36]
    assert found[1, 0].tolist() == [[5, 10, 15, 20], [0] * 4, [0] * 4, [0] * 4]
    together = arm.NeonDot().pack(weights, 2).reshape(2, 2, 4, 4)
    assert together[0, 1].tolist() == found[1, 0].tolist()
    pairs = arm.NeonPairs().pack(weights, 1)[:16].reshape(2, 4, 2)
    assert pairs.tolist() == [
        [[1, 6], [2, 7], [3, 8], [4, 9]],
        [[11, 16], [12, 17], [13, 18], [14, 19]],
    ]
