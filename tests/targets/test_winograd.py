from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.isa.avx2 import Avx2Float, Avx2Int8
from targets.isa.avx512 import Avx512Vnni
from targets.operators.winograd import fits
from targets.tiles import Tile
from tests.targets.cases.arrays import generator
from tests.targets.cases.case import Make
from tests.targets.cases.convolution import PLAIN, case, winograd_cases
from tests.targets.cases.layer import Shape, extreme, layer_of
from tests.targets.native import NATIVE, Native, every

FITTING = [each for each in NATIVE if each.arithmetic.transformed()]


@every(winograd_cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


@pytest.mark.parametrize("kernels", FITTING, ids=str)
@settings(max_examples=5)
@given(
    st.builds(
        Shape,
        st.sampled_from([2, 4, 6, 8, 10]),
        st.sampled_from([2, 4, 6, 8]),
        channels=st.integers(5, 40),
        outputs=st.integers(5, 70),
        tile=st.builds(Tile, st.integers(1, 16), st.integers(1, 4), st.integers(1, 30)),
        borders=st.tuples(st.just(1), st.integers(0, 1)),
    )
)
def test_any_shape(kernels: Native, shape: Shape) -> None:
    kernels.check(case("winograd", shape, kernels.arithmetic, by_winograd=True))


@pytest.mark.parametrize(
    "change",
    [{"height": 5}, {"width": 3}, {"stride": 2}, {"kernel": 1}],
    ids=lambda change: "_".join(change),
)
def test_other_layers_are_refused(change: dict[str, Any]) -> None:
    shape = replace(PLAIN["winograd"], **change)
    with pytest.raises(ValueError, match="winograd is no 3x3 convolution of even size, stride 1"):
        case("winograd", shape, Avx2Float(), by_winograd=True)


def test_where_the_direct_form_is_always_better_it_is_refused() -> None:
    with pytest.raises(ValueError, match="winograd is no 3x3 convolution"):
        case("winograd", PLAIN["winograd"], Avx512Vnni(), by_winograd=True)


@pytest.mark.parametrize(("channels", "fit"), [(736, True), (737, False)])
def test_integers_whose_sums_may_not_fit_are_refused(channels: int, fit: bool) -> None:
    """Of equal weights of 127 nine places have at most 127 * 510 * (6 * 6 + 3 * 3) a channel."""
    shape = replace(PLAIN["winograd"], channels=channels)
    layer, _ = layer_of("winograd", shape, Avx2Int8(), generator("winograd"), extreme(255))
    assert fits(layer, Avx2Int8()) is fit
