from __future__ import annotations

from tests.targets.cases.case import Make
from tests.targets.cases.exp import cases
from tests.targets.native import Native, every


@every(cases)
def test_exp_is_exact_to_its_promise(kernels: Native, make: Make) -> None:
    kernels.check(make())
