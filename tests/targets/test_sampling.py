from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.targets.cases.case import Make
from tests.targets.cases.sampling import Shape, around, case, cases, quarters
from tests.targets.native import NATIVE, Native, every


@every(cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@settings(max_examples=5)
@given(
    st.builds(
        Shape,
        st.integers(1, 6),
        st.integers(1, 6),
        depth=st.integers(1, 40),
        anchors=st.integers(1, 5),
        boxes=st.sampled_from([quarters, around(0), around(1), around(100)]),
        zero=st.integers(0, 255),
    )
)
def test_any_shape(kernels: Native, shape: Shape) -> None:
    kernels.check(case("sampling", shape, kernels.arithmetic))
