"""Cases, compiled together, on the emulated GPU, and how a test runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase

from edge_passd.bundle import Launch
from targets.gpu.codegen import words
from targets.gpu.emulator.compile import compile_kernels
from targets.gpu.emulator.engine import EmulatedGpu
from targets.gpu.lower import Lowered
from tests.gpu.cases.case import Case, Cases, Family
from tests.targets.cases.arrays import generator

# What is drawn is compiled for seconds, and shrinking would draw a hundred times.
UNSHRUNK = (Phase.reuse, Phase.generate)


class Library:
    """cases: by name, after which their kernels are called here, for steps' own may be the same."""

    def __init__(self, cases: Mapping[str, Case], folder: Path) -> None:
        self.cases = cases
        self._lowered = {name: case.lowered() for name, case in cases.items()}
        sources = (_renamed(each, name) for name, each in self._lowered.items())
        self._path = compile_kernels(words() + "".join(sources), folder)

    def run(self, name: str) -> tuple[np.ndarray, ...]:
        """The five arrays behind a launch that wrote what it must, in whatever order it ran."""
        case, lowered = self.cases[name], self._lowered[name]
        (kernel,) = lowered.kernels
        photos = case.schedule.batch
        launch = Launch(f"case_{name}", (kernel.blocks, 1, photos), (kernel.threads, 1, 1), 0)
        ends = []
        for descending in (False, True):
            given = case.arrays(lowered, generator(name))
            gpu = EmulatedGpu(self._path, given)
            gpu.launch(launch, descending)
            case.check(name, lowered, given[1], gpu.arrays)
            ends.append(gpu.arrays)
        for first, second in zip(*ends, strict=True):
            np.testing.assert_array_equal(first.view(np.uint8), second.view(np.uint8), name)
        return ends[0]

    def run_all(self) -> None:
        for name in self.cases:
            self.run(name)


def _renamed(lowered: Lowered, name: str) -> str:
    (kernel,) = lowered.kernels
    return re.sub(rf"\b{kernel.name}\(", f"case_{name}(", lowered.source)


class Emulator:
    """Libraries of cases, each compiled when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._libraries: dict[tuple[Callable[[Family], Cases], Family], Library] = {}

    def library(self, cases: Callable[[Family], Cases], family: Family) -> Library:
        key = cases, family
        if key not in self._libraries:
            made = {name: make(family) for name, make in cases(family).items()}
            self._libraries[key] = Library(made, self.folder)
        return self._libraries[key]


def every(cases: Callable[[Family], Cases], families: tuple[Family, ...]) -> pytest.MarkDecorator:
    """Parametrises `family` and `name` over all cases of the families."""
    return pytest.mark.parametrize(
        ("family", "name"),
        [
            pytest.param(family, name, id=f"{family}-{name}")
            for family in families
            for name in cases(family)
        ],
    )
