"""Kernels that this machine can run, and how a test runs them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import tvm

from edge_passd.bundle.machine import this_machine
from edge_passd.engines.tvm_runtime import SPIN_COUNT
from targets import arm, x86
from targets.board import Board
from targets.build import build, llvm_target
from targets.isa.arithmetic import Arithmetic
from targets.isa.avx2 import AvxVnni
from tests.targets.cases.case import Case, Cases, module_of

# As the engine sets them: pinned threads and threads that spin disturb whatever runs beside.
os.environ.setdefault("TVM_BIND_THREADS", "0")
os.environ.setdefault("TVM_THREAD_POOL_SPIN_COUNT", SPIN_COUNT)


@dataclass(frozen=True)
class Native:
    """One precision of a board's, on this machine."""

    board: Board
    precision: str

    @property
    def arithmetic(self) -> Arithmetic:
        return self.board.arithmetic_of(self.precision)

    def __str__(self) -> str:
        return type(self.arithmetic).__name__

    def check(self, case: Case) -> None:
        """Compile its function, call it, and see what it wrote."""
        self.outputs(case)

    def outputs(self, case: Case) -> dict[str, np.ndarray]:
        """What the case's function wrote, checked."""
        library = build(module_of([case]), llvm_target(self.board))
        tensors = [tvm.runtime.tensor(content) for content in case.memory()]
        library[case.name](*tensors)
        memory = [each.numpy() for each in tensors]
        case.check(memory)
        return case.outputs(memory)


def native() -> Iterator[Native]:
    """Each arithmetic once."""
    machine, seen = this_machine(), set()
    for board in (*x86.BOARDS.values(), *arm.BOARDS.values()):
        fits = board.machine == machine.machine and {*board.features} <= (machine.features or set())
        for precision, arithmetic in board.arithmetic.items():
            if fits and arithmetic not in seen:
                seen.add(arithmetic)
                yield Native(board, precision)
    if AvxVnni not in seen and {"avx512vl", "avx512_vnni"} <= (machine.features or set()):
        # The same instruction on the same registers in AVX-512's encoding.
        attributes = ("+avx512vnni", "+avx512vl")
        board = replace(x86.BOARDS["x86-64-v3-avxvnni"], attributes=attributes)
        yield Native(board, "int8")


NATIVE = tuple(native())


def every(cases: Callable[[Arithmetic], Cases]) -> pytest.MarkDecorator:
    """Parametrises `kernels` and `make` over all cases of all arithmetics that run here."""
    return pytest.mark.parametrize(
        ("kernels", "make"),
        [
            pytest.param(kernels, make, id=f"{kernels}-{name}")
            for kernels in NATIVE
            for name, make in cases(kernels.arithmetic).items()
        ],
    )
