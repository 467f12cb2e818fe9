from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tiles import Tile
from tests.targets.cases.case import Make
from tests.targets.cases.convolution import case, depthwise_cases
from tests.targets.cases.layer import Shape
from tests.targets.native import NATIVE, Native, every


@every(depthwise_cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@settings(max_examples=5)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 12),
    channels=st.sampled_from([16, 32, 48]),
    stride=st.sampled_from([1, 2]),
    pixels=st.integers(1, 14),
    border=st.integers(0, 1),
    zeros=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
def test_any_shape(
    kernels: Native, height: int, width: int, channels: int, stride: int, pixels: int,
    border: int, zeros: tuple[int, int],
) -> None:  # fmt: skip
    shape = Shape(
        height, width, channels, None, stride=stride, tile=Tile(pixels, 1), borders=(1, border),
        zeros=zeros,
    )  # fmt: skip
    kernels.check(case("depthwise", shape, kernels.arithmetic))


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
def test_channels_that_fill_no_vector_are_refused(kernels: Native) -> None:
    wide = kernels.arithmetic.wide
    message = f"odd: {wide + 4} channels are no multiple of {wide}"
    with pytest.raises(ValueError, match=re.escape(message)):
        case("odd", Shape(3, 3, wide + 4, None), kernels.arithmetic)
