from __future__ import annotations

from tests.gpu.cases.case import FAMILIES, PRECISIONS, Family
from tests.gpu.cases.depthwise import cases, pair_cases
from tests.gpu.on_emulator import Emulator, every


@every(cases, PRECISIONS)
def test_it_is_the_definition(emulator: Emulator, family: Family, name: str) -> None:
    emulator.library(cases, family).run(name)


@every(pair_cases, FAMILIES)
def test_with_a_1x1_convolution_behind(emulator: Emulator, family: Family, name: str) -> None:
    emulator.library(pair_cases, family).run(name)
