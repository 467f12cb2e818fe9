from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tiles import Tile
from tests.targets.cases.case import Make
from tests.targets.cases.layer import Shape
from tests.targets.cases.separable import Pair, case, cases
from tests.targets.native import NATIVE, Native, every


@every(cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


pairs = st.builds(
    Pair,
    st.builds(
        Shape,
        st.integers(1, 12),
        st.integers(1, 9),
        channels=st.sampled_from([16, 32]),
        outputs=st.none(),
        stride=st.sampled_from([1, 2]),
        tile=st.builds(Tile, st.integers(1, 9), st.just(1)),
        zeros=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    ),
    st.integers(5, 70),
    st.builds(Tile, st.integers(1, 16), st.integers(1, 4), st.integers(1, 30), st.booleans()),
    st.integers(0, 1),
)


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@settings(max_examples=10)
@given(pair=pairs)
def test_any_shape(kernels: Native, pair: Pair) -> None:
    kernels.check(case("separable", pair, kernels.arithmetic))
