"""s8 grids of weights, one step for each output channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from quant.int8.grid import WeightGrid
from quant.int8.scheme import WEIGHTS as RANGES

GRIDS = {bits: WeightGrid(limits) for bits, limits in RANGES.items()}
GRID = GRIDS[8]

SHAPES = st.tuples(*[st.integers(1, n) for n in (5, 4, 3, 3)])
WEIGHTS = arrays.arrays(
    np.float32, SHAPES, elements=st.floats(-8, 8, width=32, allow_subnormal=False)
).map(torch.from_numpy)


def random_weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(WEIGHTS, st.sampled_from([(7, 63), (8, 127)]))
def test_every_weight_becomes_the_nearest_of_its_channel(
    weight: Tensor, range_: tuple[int, int]
) -> None:
    bits, largest = range_
    grid = GRIDS[bits]
    rounded, scale = grid(weight), grid.scale(weight)
    assert scale.shape == (len(weight), 1, 1, 1)
    assert ((rounded - weight).abs() <= scale * 0.5001).all()
    # What is exported is what was trained with, to the last bit.
    integers = grid.integers(weight)
    assert torch.equal(rounded, integers * scale)
    assert integers.dtype == torch.int8
    assert -largest <= integers.min() <= integers.max() <= largest


@given(st.floats(1e-3, 1e3), st.integers(0, 99), st.sampled_from([(7, 63), (8, 127)]))
def test_the_largest_of_each_channel_fills_the_range(
    size: float, seed: int, range_: tuple[int, int]
) -> None:
    spread = torch.tensor([1.0, 0.1, 0.01, 0.001])[:, None, None, None]
    weight = random_weights(4, 6, 3, 3, seed=seed) * spread * size
    bits, largest = range_
    assert GRIDS[bits].integers(weight).abs().amax((1, 2, 3)).tolist() == [largest] * 4


def test_one_layer_by_hand() -> None:
    weight = torch.tensor([[0.5, -1.27, 0.014, 0.016], [2.54, 0.0, -0.031, 1.0]])
    weight = weight[:, :, None, None]
    wanted = [[50, -127, 1, 2], [127, 0, -2, 50]]
    assert GRID.integers(weight)[..., 0, 0].tolist() == wanted
    assert GRID.scale(weight).flatten().tolist() == pytest.approx([0.01, 0.02])


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12])
def test_a_dead_channel_neither_blows_up_nor_disturbs_the_others(size: float) -> None:
    weight = random_weights(3, 8, 1, 1)
    alone = GRID.integers(weight)
    weight[1] *= size
    scale = GRID.scale(weight).flatten()
    assert not GRID(weight)[1].any()
    assert torch.equal(GRID.integers(weight)[[0, 2]], alone[[0, 2]])
    # A bias of ReLU6's whole range, counted in steps of this times a u8 step of the input's.
    assert 6 / (scale[1] * 6 / 255) < 2**31


def test_a_layer_without_any_weight_stays_finite() -> None:
    weight = torch.zeros(2, 3, 1, 1)
    assert GRID.scale(weight).isfinite().all()
    assert not GRID(weight).any()


def test_the_gradient_passes_straight_through() -> None:
    weight = random_weights(3, 4, 3, 3).requires_grad_()
    upstream = random_weights(3, 4, 3, 3, seed=1)
    (GRID(weight) * upstream).sum().backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, upstream, rtol=0, atol=0)


def test_bfloat16_weights_are_rounded_to_bfloat16() -> None:
    weight = random_weights(3, 4, 3, 3).bfloat16()
    rounded = GRID(weight)
    assert rounded.dtype == torch.bfloat16
    steps = (rounded.float() - weight.float()).abs() / GRID.scale(weight).float()
    assert steps.max() <= 1.1  # bfloat16 itself is half a step off at the far end
