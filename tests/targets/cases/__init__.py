"""What each operator must compute, by arithmetic: arrays in, arrays out, on whatever runs them."""

from __future__ import annotations

from itertools import chain

from targets.isa.arithmetic import Arithmetic
from tests.targets.cases import attend, convolution, exp, image, merge, sampling
from tests.targets.cases.case import Case


def every_case(arithmetic: Arithmetic) -> list[Case]:
    """Of all operators; their names are different, so that one library can hold them."""
    kinds = (
        convolution.direct_cases, convolution.depthwise_cases, convolution.winograd_cases,
        merge.cases, image.cases, sampling.cases, attend.cases, exp.cases,
    )  # fmt: skip
    return [make() for make in chain.from_iterable(k(arithmetic).values() for k in kinds)]
