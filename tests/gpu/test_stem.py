from __future__ import annotations

from tests.gpu.cases.case import PRECISIONS, Family
from tests.gpu.cases.stem import cases
from tests.gpu.on_emulator import Emulator, every


@every(cases, PRECISIONS)
def test_it_is_the_definition(emulator: Emulator, family: Family, name: str) -> None:
    emulator.library(cases, family).run(name)
