from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.targets.cases.attend import Shape, case, cases, normal
from tests.targets.cases.case import Make
from tests.targets.native import NATIVE, Native, every


@every(cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@settings(max_examples=4)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    classes=st.integers(2, 30),
    sides=st.lists(st.floats(0.5, 12), min_size=1, max_size=5),
    clipped=st.booleans(),
    spread=st.sampled_from([0.1, 1, 4]),
    others=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_any_shape(
    kernels: Native, height: int, width: int, classes: int, sides: list[float], clipped: bool,
    spread: float, others: tuple[int, int],
) -> None:  # fmt: skip
    shape = Shape(height, width, classes, tuple(sides), clipped, normal(spread), others)
    found = kernels.outputs(case("attend", shape, kernels.arithmetic))
    own = np.s_[others[0] : others[0] + height * width * len(sides)]
    boxes, scores = found["boxes"][own], found["scores"][own]
    np.testing.assert_allclose(scores.sum(1, dtype=np.float64), 1, atol=1e-6)
    assert scores.min() >= 0
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
