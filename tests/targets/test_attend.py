from __future__ import annotations

from tests.targets.cases.attend import cases
from tests.targets.cases.case import Make
from tests.targets.native import Native, every


@every(cases)
def test_it_is_the_definition(kernels: Native, make: Make) -> None:
    kernels.check(make())
