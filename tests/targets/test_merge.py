from __future__ import annotations

import pytest

from targets.graph import Merge, Tensor
from targets.operators.merge import merge
from tests.targets.cases.case import Make
from tests.targets.cases.merge import cases
from tests.targets.native import NATIVE, Native, every


@every(cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@pytest.mark.parametrize("sides", [(4, 5), (5, 4), (2, 2), (3, 3)])
def test_another_size_than_the_double_is_refused(kernels: Native, sides: tuple[int, int]) -> None:
    lateral, top = Tensor("a", *sides, 16), Tensor("b", 2, 2, 16)
    layer = Merge("merge_1", lateral, top, Tensor("y", *sides, 16))
    with pytest.raises(ValueError, match="merge_1: a map of twice the size is wanted"):
        merge(layer, kernels.arithmetic)
