"""One call of an operator's function: what it is given, and what it must write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

# Bytes on both sides of every array: vectors may read there, see `targets.layout.SLACK`, but what
# they read has no effect, and nothing may be written.
GUARD = 64
_POISON = 0xFF  # NaN as float32, the extreme as an unsigned integer
_CANARY = 0xA5


@dataclass(frozen=True)
class Case:
    """name: a different one for each case of a library.

    function: private, of pointers, first to each of `inputs`, then to each of `expected`.
    expected: what must be written, masked where anything may stand; float32 as float64. limits: how
    far floats may be off, by name, one number or one for each element; without one, not at all.
    """

    name: str
    function: tirx.PrimFunc
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ma.MaskedArray]
    limits: Mapping[str, np.ndarray | float] = field(default_factory=dict)

    def memory(self) -> list[np.ndarray]:
        """What the case's function in a library is called with, uint8 (bytes,) each."""
        given = [_guarded(_bytes(array), _POISON) for array in self.inputs.values()]
        sizes = [wanted.size * _dtype(wanted).itemsize for wanted in self.expected.values()]
        return given + [np.full(size + 2 * GUARD, _CANARY, np.uint8) for size in sizes]

    def outputs(self, memory: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays that the function wrote."""
        found = {}
        for content, (name, wanted) in zip(
            memory[len(self.inputs) :], self.expected.items(), strict=True
        ):
            inside = np.ascontiguousarray(content[GUARD:-GUARD])
            found[name] = inside.view(_dtype(wanted)).reshape(wanted.shape)
        return found

    def check(self, memory: Sequence[np.ndarray]) -> None:
        """AssertionError unless `memory` is what the function must leave behind."""
        for before, after, name in zip(
            self.memory(), memory, [*self.inputs, *self.expected], strict=True
        ):
            outside = np.ones(before.size, bool)
            outside[GUARD:-GUARD] = name in self.inputs
            np.testing.assert_array_equal(
                after[outside], before[outside], f"{self.name}: written outside, by {name}"
            )
        for name, found in self.outputs(memory).items():
            wanted = self.expected[name]
            said = np.broadcast_to(~np.ma.getmaskarray(wanted), wanted.shape)
            if name not in self.limits:
                np.testing.assert_array_equal(found[said], wanted.data[said], self.name)
                continue
            off = np.abs(found.astype(np.float64) - wanted.data)
            limit = np.broadcast_to(self.limits[name], wanted.shape)
            bad = said & ~(off <= limit)  # this way round a NaN is bad
            assert not bad.any(), (
                f"{self.name}: {bad.sum()} of {said.sum()} in {name} are off, the first at "
                f"{tuple(np.argwhere(bad)[0].tolist())}: {found[bad][0]} for {wanted.data[bad][0]}"
            )


Make: TypeAlias = "Callable[[], Case]"
Cases: TypeAlias = "dict[str, Make]"  # by name


def module_of(cases: Sequence[Case]) -> tvm.IRModule:
    """A module with a public function for each case, by its name, of uint8 tensors."""
    assert len({case.name for case in cases}) == len(cases)
    module = tvm.IRModule()
    for case in cases:
        private = f"{case.name}_"
        module[private] = case.function
        module[case.name] = _public(case, module.get_global_var(private))
    return module


def untouched(dtype: type[np.generic]) -> np.generic:
    """What an element of an output is that the function must leave alone."""
    return np.full(np.dtype(dtype).itemsize, _CANARY, np.uint8).view(dtype)[0]


def _public(case: Case, function: tvm.ir.GlobalVar) -> tirx.PrimFunc:
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(case.name)
        T.func_attr({"global_symbol": case.name, "tirx.noalias": True})
        buffers = [
            T.arg(f"argument{i}", T.buffer((content.size,), "uint8"))
            for i, content in enumerate(case.memory())
        ]
        T.evaluate(tvm.ir.Call(function, [T.address_of(each[GUARD]) for each in buffers]))
    return builder.get()


def _dtype(wanted: np.ndarray) -> np.dtype:
    return np.dtype(np.float32) if wanted.dtype == np.float64 else wanted.dtype


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _guarded(content: np.ndarray, guard: int) -> np.ndarray:
    return np.pad(content, GUARD, constant_values=guard)
