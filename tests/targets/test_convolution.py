from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tiles import Tile
from tests.targets.cases.case import Make
from tests.targets.cases.convolution import case, direct_cases
from tests.targets.cases.layer import Shape
from tests.targets.native import NATIVE, Native, every

sides, borders, zeros = st.integers(1, 9), st.integers(0, 1), st.integers(0, 255)


@every(direct_cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


shapes = st.builds(
    Shape,
    sides,
    sides,
    channels=st.integers(1, 40),
    outputs=st.integers(4, 70),
    kernel=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
    tile=st.builds(Tile, st.integers(1, 24), st.integers(1, 4), st.integers(1, 30), st.booleans()),
    borders=st.tuples(st.just(1), borders),
    zeros=st.tuples(zeros, zeros),
)


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@settings(max_examples=8)
@given(shape=shapes)
def test_any_shape(kernels: Native, shape: Shape) -> None:
    kernels.check(case("convolution", shape, kernels.arithmetic))
