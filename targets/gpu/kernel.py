"""Kernels in TIR: a function of five pointers, the same for every one, and how it is launched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tvm
from tvm import tirx
from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import Arithmetic
from targets.graph import Tensor
from targets.operators.emit import Index, constant
from targets.plan import Constants, Workspace

PARAMETERS = {
    "constants": "uint8",
    "workspace": "uint8",
    "image": "float32",
    "boxes": "float32",
    "scores": "float32",
}
WARP = 32  # threads


@dataclass(frozen=True)
class Memory:
    """Where everything lies. image, boxes, scores: elements of one photo's. batch: photos."""

    arithmetic: Arithmetic
    workspace: Workspace
    constants: Constants
    image: int
    boxes: int
    scores: int
    batch: int = 1


@dataclass(frozen=True)
class Kernel:
    """function: of `PARAMETERS`. blocks: for one photo. threads: of a block."""

    name: str
    function: tirx.PrimFunc
    blocks: int
    threads: int


class Block:
    """What a kernel's body sees: its number among the blocks, its threads, and memory."""

    def __init__(
        self, memory: Memory, pointers: Sequence[Expr], number: Expr, thread: Expr, photo: Expr
    ) -> None:
        self.memory, self.arithmetic = memory, memory.arithmetic
        self.number, self.thread, self._photo = number, thread, photo
        self._pointers = dict(zip(PARAMETERS, pointers, strict=True))

    def bytes_at(self, tensor: Tensor | Sequence[Tensor], choice: Index = 0) -> Expr:
        """Where a tensor begins in the workspace; of several, number `choice`."""
        tensors = [tensor] if isinstance(tensor, Tensor) else tensor
        start = chosen([self.memory.workspace.offsets[each] for each in tensors], choice)
        return self._of_photo(start, self.memory.workspace.size)

    def constants_at(self, step: str, name: str | Sequence[str], choice: Index = 0) -> Expr:
        """Where an array begins in the constants, in bytes; of several, number `choice`."""
        names = [name] if isinstance(name, str) else name
        return chosen([self.memory.constants.offsets[step, each] for each in names], choice)

    def workspace(self, dtype: str = "uint8") -> Expr:
        """All of the workspace as a buffer, to be addressed in elements."""
        return self._buffer("workspace", dtype)

    def constants(self, dtype: str = "uint8") -> Expr:
        """All constants as a buffer."""
        return self._buffer("constants", dtype)

    def image(self, index: Expr) -> Expr:
        """One float32 of this photo."""
        return self._buffer("image", "float32")[self._of_photo(index, self.memory.image)]

    def boxes(self, index: Expr) -> Expr:
        """Address of an element of this photo's boxes."""
        return T.address_of(
            self._buffer("boxes", "float32")[self._of_photo(index, self.memory.boxes)]
        )

    def set_score(self, index: Expr, value: Expr) -> None:
        """Write an element of this photo's scores."""
        at = self._of_photo(index, self.memory.scores)
        T.buffer_store(self._buffer("scores", "float32"), value, [at])

    def _of_photo(self, index: Index, size: int) -> Expr:
        if self.memory.batch == 1:
            return constant(index) if isinstance(index, int) else index
        return index + self._photo * size

    def _buffer(self, name: str, dtype: str) -> Expr:
        # Its length is of no consequence: nothing checks it, and every index is in range.
        return T.decl_buffer((2**31 - 1,), dtype, data=self._pointers[name])


def kernel(
    name: str, blocks: int, threads: int, memory: Memory, body: Callable[[Block], None]
) -> Kernel:
    """A kernel of `blocks` blocks for each photo; `body` emits what one of its threads does."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(name)
        pointers = [T.arg(each, T.ptr(dtype)) for each, dtype in PARAMETERS.items()]
        T.func_attr(
            {
                "global_symbol": name,
                "tirx.noalias": True,
                "tirx.is_global_func": True,
                "calling_conv": 2,  # tvm.ir.CallingConv.DEVICE_KERNEL_LAUNCH
            }
        )
        with (
            T.launch_thread("blockIdx.x", blocks) as number,
            T.launch_thread("blockIdx.z", memory.batch) as photo,
            T.launch_thread("threadIdx.x", threads) as thread,
        ):
            body(Block(memory, pointers, number, thread, photo))
    return Kernel(name, builder.get(), blocks, threads)


def chosen(values: Sequence[int | float], choice: Index, dtype: str = "int32") -> Expr:
    """values[choice] without memory."""
    result = constant(values[-1], dtype)
    if isinstance(choice, int) or len({*values}) == 1:
        return constant(values[choice if isinstance(choice, int) else 0], dtype)
    for i in reversed(range(len(values) - 1)):
        result = tirx.Select(choice == i, constant(values[i], dtype), result)
    return result


def quotient(a: Expr, b: Expr | int) -> Expr:
    """a / b, neither below zero. Of TVM's own two divisions `//` is the one whose passes take
    seconds to prove that."""
    return T.truncdiv(a, b)


def remainder(a: Expr, b: Expr | int) -> Expr:
    """a - quotient(a, b) * b."""
    return T.truncmod(a, b)


def registers(size: int, dtype: str) -> Expr:
    """A thread's own array; in registers where every index is a constant after unrolling."""
    return T.alloc_buffer((size,), dtype, scope="local")


def shared(size: int, dtype: str = "int32") -> Expr:
    """An array of the block."""
    return T.alloc_buffer((size,), dtype, scope="shared")


def call(name: str, *arguments: Expr | int, dtype: str = "int32") -> Expr:
    """A value that a function of the prelude returns."""
    return T.call_extern(dtype, name, *arguments)


def do(name: str, *arguments: Expr | int) -> None:
    """Call a function of the prelude for what it does."""
    T.evaluate(call(name, *arguments))


def module_of(kernels: Mapping[str, Kernel]) -> tvm.IRModule:
    return tvm.IRModule({name: each.function for name, each in kernels.items()})


def blocks_for(work: int, threads: int) -> int:
    return -(-work // threads)


@contextmanager
def where(condition: Expr | None) -> Iterator[None]:
    """What is emitted within happens only where the condition holds; None: always."""
    if condition is None:
        yield
        return
    with T.If(condition), T.Then():
        yield


def padded(values: np.ndarray, size: int) -> np.ndarray:
    """(size,): `values` and zeros behind."""
    return np.pad(values, (0, size - len(values)))
