from __future__ import annotations

import numpy as np
import pytest

from targets.graph import Image, Tensor
from targets.operators.image import image
from tests.targets.cases.case import Make
from tests.targets.cases.image import Shape, case, cases
from tests.targets.native import NATIVE, Native, every


@every(cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())


@pytest.mark.parametrize("kernels", [each for each in NATIVE if each.precision == "int8"], ids=str)
def test_not_a_number_becomes_some_pixel(kernels: Native) -> None:
    """No bits that the stem could not multiply."""
    arithmetic = kernels.arithmetic
    asked = case("image", Shape(16, values=(np.nan, 100.0)), arithmetic)
    stored = kernels.outputs(asked)["y"].astype(int) - arithmetic.shift
    assert stored.min() >= 0
    assert stored.max() <= 255
    assert (stored == 100).any()


@pytest.mark.parametrize("kernels", NATIVE, ids=str)
@pytest.mark.parametrize("size", [1, 7, 24])
def test_a_side_of_no_whole_blocks_is_refused(kernels: Native, size: int) -> None:
    layer = Image("image", Tensor("y", size, size, 3))
    with pytest.raises(ValueError, match=f"image: a side of {size} pixels is no multiple of 16"):
        image(layer, kernels.arithmetic)
