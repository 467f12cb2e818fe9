"""Few words for writing TIR: vectors in and out of memory, constants, functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tvm import tirx
from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

Index: TypeAlias = "Expr | int"


def constant(value: float, dtype: str = "int32") -> Expr:
    return tirx.const(value, dtype)


def splat(value: float, dtype: str, lanes: int) -> Expr:
    """`value` in every lane."""
    return T.broadcast(constant(value, dtype), lanes)


def vector(values: Sequence[float], dtype: str) -> Expr:
    """A constant vector."""
    return join([constant(value, dtype) for value in values])


def load(buffer: Expr, at: Index, lanes: int) -> Expr:
    """`lanes` neighbouring elements from `at`."""
    return buffer[T.ramp(_index(at), 1, lanes)] if lanes > 1 else buffer[_index(at)]


def store(buffer: Expr, at: Index, value: Expr, lanes: int) -> None:
    index = _index(at)
    T.buffer_store(buffer, value, [T.ramp(index, 1, lanes) if lanes > 1 else index])


def join(parts: Sequence[Expr], lanes: int = 1) -> Expr:
    """Vectors of `lanes` side by side, as one."""
    if len(parts) == 1:
        return parts[0]
    return tirx.Shuffle(list(parts), [constant(i) for i in range(lanes * len(parts))])


def lane(values: Expr, index: int) -> Expr:
    """One element of a vector."""
    return tirx.Shuffle([values], [constant(index)])


def lanes_of(values: Expr, start: int, count: int) -> Expr:
    """`count` neighbouring elements of a vector."""
    return tirx.Shuffle([values], [constant(start + i) for i in range(count)])


def local(size: int, dtype: str) -> Expr:
    """A buffer on the stack, from where LLVM lifts what fits into registers."""
    # Left to itself TVM asks its runtime for the memory.
    keep = {"disable_lower_builtin": True}
    return T.alloc_buffer((size,), dtype, scope="local", annotations=keep)


def bind(value: Expr) -> Expr:
    """Compute it here, once."""
    return T.Bind(value)


def intrinsic(name: str, dtype: str, *arguments: Expr) -> Expr:
    """A pure LLVM intrinsic."""
    return T.call_llvm_pure_intrin(dtype, name, *arguments)


def _index(at: Index) -> Expr:
    return constant(at) if isinstance(at, int) else at


@dataclass(frozen=True)
class Argument:
    """A pointer that an operator's function takes: to `size` elements of `dtype`."""

    name: str
    dtype: str
    size: int


def function(name: str, arguments: Sequence[Argument], body: Callable[..., None]) -> tirx.PrimFunc:
    """A private function of pointers that do not overlap; `body` gets them as buffers."""
    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name(name)
        pointers = [T.arg(each.name, T.ptr(each.dtype)) for each in arguments]
        T.func_attr({"tirx.noalias": True})
        T.func_ret(constant(0).ty)
        body(
            *(
                T.decl_buffer((each.size,), each.dtype, data=pointer)
                for each, pointer in zip(arguments, pointers, strict=True)
            )
        )
        T.Return(constant(0))
    return builder.get()
