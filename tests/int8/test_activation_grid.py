"""u8 grids: the values they hold, their borders, their gradients."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from quant.int8.grid import ActivationGrid

RELU6 = (0.0, 6.0)
SIDE = st.floats(1e-3, 1e6)
RANGES = st.tuples(SIDE.map(float.__neg__) | st.just(0.0), SIDE)


def grid_of(low: float, high: float, limits: tuple[float, float] | None = None) -> ActivationGrid:
    grid = ActivationGrid(limits) if limits else ActivationGrid()
    grid.set_range(low, high)
    return grid


def values_around(low: float, high: float) -> Tensor:
    """Values inside, outside and on the ends of a range."""
    width = high - low
    x = torch.linspace(low - width / 2, high + width / 2, 997, dtype=torch.float64)
    return torch.cat([x, torch.tensor([low, 0.0, high])]).float()


def integers(grid: ActivationGrid, y: Tensor) -> np.ndarray:
    """The u8 that stand for values of the grid; not whole numbers if they are none."""
    return y.double().numpy() / float(grid.scale) + int(grid.zero_point)


@given(RANGES)
def test_values_become_the_nearest_of_256(ends: tuple[float, float]) -> None:
    grid = grid_of(*ends)
    x = values_around(*ends)
    y, scale = grid(x), float(grid.scale)
    held = integers(grid, y)
    np.testing.assert_allclose(held, held.round(), atol=1e-3)
    assert held.round().min() == 0
    assert held.round().max() == 255
    nearest = x.double().clamp(*grid.bounds)
    assert (y.double() - nearest).abs().max() <= scale * 0.5001


@given(RANGES)
def test_it_rounds_as_torch_does(ends: tuple[float, float]) -> None:
    grid = grid_of(*ends)
    x = values_around(*ends)
    wanted = torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, 0, 255)
    # Between two values of the grid single precision decides, and each of us divides differently.
    between = ((x.double() / float(grid.scale)) % 1 - 0.5).abs() < 1e-3
    assert between.float().mean() < 0.1
    torch.testing.assert_close(grid(x)[~between], wanted[~between], rtol=1e-5, atol=0)


@given(RANGES)
def test_it_covers_its_range_and_holds_zero(ends: tuple[float, float]) -> None:
    grid = grid_of(*ends)
    low, high = grid.bounds
    half = float(grid.scale) * 0.5001  # zero takes one of the 256 for itself
    assert low == pytest.approx(ends[0], abs=half)
    assert high == pytest.approx(ends[1], abs=half)
    assert grid(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@given(RANGES, st.floats(1.5, 1e6))
def test_it_saturates_at_both_ends(ends: tuple[float, float], beyond: float) -> None:
    grid = grid_of(*ends)
    y = grid(torch.tensor(grid.bounds) * beyond)
    np.testing.assert_allclose(y, grid.bounds, rtol=1e-6)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_relu6_is_never_exceeded(one: float, other: float) -> None:
    grid = grid_of(min(one, other), max(one, other), RELU6)
    y = grid(torch.linspace(-2000, 2000, 999))
    assert y.min() == 0
    assert y.max() <= 6 * (1 + 1e-6)
    assert 0 <= grid.zero_point <= 255


@pytest.mark.parametrize(
    ("name", "low", "high", "limits", "bounds"),
    [
        ("both sides", -1.0, 254.0, None, (-1.0, 254.0)),
        ("only positive values: zero joins them", 51.0, 255.0, None, (0.0, 255.0)),
        ("only negative values: zero joins them", -255.0, -51.0, None, (-255.0, 0.0)),
        ("one positive value", 2.55, 2.55, None, (0.0, 2.55)),
        ("one negative value", -2.55, -2.55, None, (-2.55, 0.0)),
        ("wider than ReLU6", -3.0, 40.0, RELU6, (0.0, 6.0)),
        ("narrower than ReLU6", 0.5, 2.55, RELU6, (0.0, 2.55)),
    ],
)
def test_borders_of_a_range(
    name: str,
    low: float,
    high: float,
    limits: tuple[float, float] | None,
    bounds: tuple[float, float],
) -> None:
    grid = grid_of(low, high, limits)
    assert grid.bounds == pytest.approx(bounds)
    assert grid.scale.item() == pytest.approx((bounds[1] - bounds[0]) / 255)


@pytest.mark.parametrize("limits", [None, RELU6])
@pytest.mark.parametrize("width", [0.0, 1e-45, 1e-12])
def test_a_tensor_that_was_always_zero(width: float, limits: tuple[float, float] | None) -> None:
    """What else it may once hold is unknown; the grid is finite and within the limits."""
    grid = grid_of(0.0, width, limits)
    y = grid(torch.tensor([-1e9, 0.0, width, 1e9]))
    assert y.isfinite().all()
    assert y[1] == 0
    assert y[2] == pytest.approx(0.0, abs=1e-6)
    assert y.max() <= (limits or (0, math.inf))[1] * (1 + 1e-6)


@given(RANGES)
def test_gradients_pass_inside_and_stop_outside(ends: tuple[float, float]) -> None:
    grid = grid_of(*ends)
    x = values_around(*ends).requires_grad_()
    upstream = torch.linspace(-2, 3, len(x))
    (grid(x) * upstream).sum().backward()
    low, high = grid.bounds
    away = float(grid.scale) / 10  # the ends themselves are either
    inside = (x > low + away) & (x < high - away)
    outside = (x < low - away) | (x > high + away)
    assert x.grad is not None
    assert torch.equal(x.grad[inside], upstream[inside])
    assert inside.sum() > 400
    assert not x.grad[outside].any()
    assert outside.sum() > 400


def test_bfloat16_stays_bfloat16_on_the_same_grid() -> None:
    grid = grid_of(-1.0, 3.0)
    x = torch.linspace(-2, 4, 500).bfloat16()
    y = grid(x)
    assert y.dtype == torch.bfloat16
    # bfloat16 keeps 8 bits: at the far end it is one of the 256 steps off.
    assert (y.float() - grid(x.float())).abs().max() <= 1.1 * float(grid.scale)
    assert not grid(torch.zeros(2, dtype=torch.bfloat16)).any()


def test_without_a_range_it_puts_out_nothing_that_passes_for_a_value() -> None:
    assert ActivationGrid()(torch.ones(3)).isnan().all()


def test_a_recorder_sees_clamped_values_which_pass_unrounded() -> None:
    seen: list[Tensor] = []

    class Recorder:
        def see(self, x: Tensor) -> None:
            seen.append(x)

    grid = grid_of(0.0, 3.0, RELU6)
    grid.recorder = Recorder()
    x = torch.tensor([-1.0, 0.123456, 4.5, 9.0])
    wanted = torch.tensor([0.0, 0.123456, 4.5, 6.0])
    assert torch.equal(grid(x), wanted)
    assert torch.equal(torch.stack(seen), wanted[None])


def test_loaded_ranges_replace_those_used_before() -> None:
    x = values_around(-2.0, 5.0)
    one, other = nn.Sequential(grid_of(-1.0, 3.0)), nn.Sequential(grid_of(-2.0, 5.0))
    expected = other(x)
    assert not torch.equal(one(x), expected)
    one.load_state_dict(other.state_dict())
    assert torch.equal(one(x), expected)


def test_a_copy_has_a_range_of_its_own() -> None:
    grid = grid_of(-1.0, 3.0)
    x = values_around(-1.0, 3.0)
    before = grid(x)
    other = copy.deepcopy(grid)
    other.set_range(-5.0, 5.0)
    assert torch.equal(grid(x), before)
    assert other(torch.tensor([-9.0, 9.0])).tolist() == pytest.approx(other.bounds)
    assert other.bounds == pytest.approx((-5.0, 5.0), abs=0.03)
