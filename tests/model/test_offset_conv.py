"""Project-then-sample against the offset convolution as the paper writes it (eq. 3-5)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from quant.model.backbone import PYRAMID_CHANNELS
from quant.model.config import ModelConfig
from quant.model.heads import AttendHead, adjusted_boxes
from quant.model.offset_conv import offset_sample

ANCHORS = 3


def random_head(generator: torch.Generator, **config: object) -> AttendHead:
    """A float64 head with filters and bias of the size of one, C = 3."""
    head = AttendHead(ModelConfig(("cat", "cup"), input_size=64, **config)).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
    return head


def random_boxes(generator: torch.Generator, height: int, width: int, spread: float) -> Tensor:
    """(2, A, 4, H, W) cy cx h w in cells; the centres stray `spread` cells from their cell."""
    shape = (2, ANCHORS, 2, height, width)
    default = adjusted_boxes(None, ModelConfig(("x",)), torch.empty(2, 1, height, width)).double()
    shift = (torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5) * 2 * spread
    size = torch.exp((torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5) * 6)
    return torch.cat([default[:, :, :2] + shift, 3 * size], 2)


def filters(head: AttendHead) -> Tensor:
    """(A, 9, D, 256): the convolution filters that the projection holds."""
    return head.projection.weight.reshape(ANCHORS, 9, head.outputs, PYRAMID_CHANNELS)


def direct(head: AttendHead, features: Tensor, boxes: Tensor) -> Tensor:
    """The im2col form: sample all 256 channels at the taps, then multiply with the filters."""
    height, width = features.shape[2:]
    u = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    cy, cx, h, w = (boxes[:, :, i, None, None] for i in range(4))  # (B, A, 1, 1, H, W)
    y = (cy + u.view(3, 1, 1, 1) * h / 3).expand(-1, -1, 3, 3, -1, -1).flatten(2, 3)
    x = (cx + u.view(3, 1, 1) * w / 3).expand(-1, -1, 3, 3, -1, -1).flatten(2, 3)
    sampled = torch.zeros(*y.shape, PYRAMID_CHANNELS, dtype=torch.float64)
    of_picture = torch.arange(len(features)).view(-1, 1, 1, 1, 1)
    for row, column in itertools.product((y.floor(), y.floor() + 1), (x.floor(), x.floor() + 1)):
        weight = (1 - (y - row).abs()) * (1 - (x - column).abs())
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        r, c = row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()
        values = features.permute(0, 2, 3, 1)[of_picture, r, c]
        sampled += torch.where(inside, weight, 0.0)[..., None] * values
    out = torch.einsum("batyxk,atdk->badyx", sampled, filters(head))
    return out + head.bias[:, :, None, None]


def as_written(head: AttendHead, features: Tensor, boxes: Tensor) -> np.ndarray:
    """Eq. 3-5 word for word, one output position at a time, in plain numpy."""
    x, b, bias = features.numpy(), boxes.numpy(), head.bias.detach().numpy()
    weights = filters(head).detach().numpy()
    batch, _, height, width = x.shape
    grid = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)]
    y = np.zeros((batch, ANCHORS, head.outputs, height, width))
    for n, i, row, column in np.ndindex(batch, ANCHORS, height, width):
        cy, cx, h, w = b[n, i, :, row, column]
        delta_y, delta_x = cy - row, cx - column
        total = bias[i].copy()
        for tap, (u, v) in enumerate(grid):
            offset_y = u * h / 3 + delta_y - u
            offset_x = v * w / 3 + delta_x - v
            at = row + u + offset_y, column + v + offset_x
            total += weights[i, tap] @ bilinear(x[n], *at)
        y[n, i, :, row, column] = total
    return y


def bilinear(x: np.ndarray, y: float, x_: float) -> np.ndarray:
    """(K,) of the map x (K, H, W) at (y, x_); each corner outside it is zero on its own."""
    value = np.zeros(len(x))
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x_), math.floor(x_) + 1):
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                value += x[:, row, column] * (1 - abs(y - row)) * (1 - abs(x_ - column))
    return value


cases = given(
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    spread=st.sampled_from([0.0, 0.5, 3.0, 300.0]),
    seed=st.integers(0, 2**32),
)


@cases
@settings(max_examples=40, deadline=None)
def test_equals_the_direct_form(height: int, width: int, spread: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    head = random_head(generator)
    shape = (2, PYRAMID_CHANNELS, height, width)
    features = torch.randn(shape, generator=generator, dtype=torch.float64) / 4
    boxes = random_boxes(generator, height, width, spread)
    torch.testing.assert_close(
        head(features, boxes), direct(head, features, boxes), rtol=0, atol=1e-12
    )


@cases
@settings(max_examples=15, deadline=None)
def test_equals_the_equations_of_the_paper(
    height: int, width: int, spread: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    head = random_head(generator)
    height, width = min(height, 3), min(width, 3)
    shape = (2, PYRAMID_CHANNELS, height, width)
    features = torch.randn(shape, generator=generator, dtype=torch.float64) / 4
    boxes = random_boxes(generator, height, width, spread)
    np.testing.assert_allclose(
        head(features, boxes).detach().numpy(), as_written(head, features, boxes), 0, 1e-12
    )


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 1), (4, 7)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_undisplaced_box_of_three_steps_is_a_plain_convolution(
    height: int, width: int, dilation: int
) -> None:
    generator = torch.Generator().manual_seed(height * 10 + width)
    adaptive = random_head(generator)
    fixed = AttendHead(
        ModelConfig(("cat", "cup"), 64, propose="none", attend="fixed", dilation=dilation)
    ).double()
    fixed.load_state_dict(adaptive.state_dict())
    features = torch.randn(2, PYRAMID_CHANNELS, height, width, generator=generator).double()
    boxes = adjusted_boxes(None, ModelConfig(("x",)), features).double()
    boxes[:, :, 2:] = 3.0 * dilation

    weight = filters(adaptive).permute(0, 2, 3, 1).reshape(-1, PYRAMID_CHANNELS, 3, 3)
    plain = F.conv2d(features, weight, adaptive.bias.flatten(), padding=dilation, dilation=dilation)
    wanted = plain.reshape(2, ANCHORS, adaptive.outputs, height, width)
    torch.testing.assert_close(adaptive(features, boxes), wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(fixed(features, boxes), wanted, rtol=0, atol=1e-12)


def test_boxes_far_outside_see_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    head = random_head(generator)
    features = torch.randn(1, PYRAMID_CHANNELS, 4, 4, generator=generator).double()
    boxes = torch.full((1, ANCHORS, 4, 4, 4), 1.0).double()
    boxes[:, :, :2] = torch.tensor([-1e6, 1e6, 1e30])[None, :, None, None, None]
    wanted = head.bias[None, :, :, None, None].expand(-1, -1, -1, 4, 4)
    torch.testing.assert_close(head(features, boxes), wanted, rtol=0, atol=0)


def test_gradients_of_features_and_boxes() -> None:
    generator = torch.Generator().manual_seed(3)
    projected = torch.randn(1, 2 * 9 * 2, 3, 4, generator=generator, dtype=torch.float64)
    cells = torch.stack(torch.meshgrid(torch.arange(3.0), torch.arange(4.0), indexing="ij"))
    # Bilinear sampling has kinks on the grid lines: these taps all keep a tenth of a cell away.
    jitter = torch.rand(1, 2, 4, 3, 4, generator=generator)
    centre = cells + 0.25 + 0.1 * jitter[:, :, :2]
    size = 3 * (1.05 + 0.1 * jitter[:, :, 2:])
    boxes = torch.cat([centre, size], 2).double()
    inputs = (projected.requires_grad_(), boxes.requires_grad_())
    assert torch.autograd.gradcheck(offset_sample, inputs, eps=1e-6, atol=1e-7)
