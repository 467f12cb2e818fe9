"""From sums to stored values, four channels at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import Arithmetic
from targets.gpu.kernel import Block, call, chosen, do, padded, registers
from targets.graph import Convolution, Merge
from targets.operators.emit import Index

QUAD = 4  # channels that a thread writes at once


def epilogue_constants(
    layer: Convolution, sums: np.ndarray, arithmetic: Arithmetic, outputs: int, suffix: str = ""
) -> dict[str, np.ndarray]:
    """bias and, on integers, multipliers: (outputs,), zeros behind the layer's own.

    sums: (O,), of the weights of each output. The input's zero point, which its borders hold too,
    goes into the bias: sum (x - z) w + b = sum x w + (b - z sum w), exactly.
    """
    bias = layer.bias - arithmetic.zero(layer.input) * sums.astype(layer.bias.dtype)
    arrays = {f"bias{suffix}": padded(bias.astype(arithmetic.accumulator), outputs)}
    if layer.multipliers is not None:
        arrays[f"multipliers{suffix}"] = padded(layer.multipliers, outputs)
    return arrays


@dataclass(frozen=True)
class Epilogue:
    """Of convolutions of one shape. choice: which of them, a thread's own.

    names: of the arrays of `epilogue_constants`, without suffix and then with one for each.
    """

    block: Block
    step: str
    layers: Sequence[Convolution]
    choice: Index = 0
    suffixes: Sequence[str] = ("",)

    def __call__(
        self, sums: Expr, first: Index, channel: Expr, to: Expr,
        merge: Callable[[Expr], None] | None = None,
    ) -> None:  # fmt: skip
        """Write sums[first:first + 4], of the channels from `channel` on, to the address `to`.

        merge: changes the four results, float32 values or integers less their zero, before.
        """
        arithmetic = self.block.arithmetic
        bias = registers(QUAD, arithmetic.accumulator)
        self._read("bias", channel, bias)
        if arithmetic.integers:
            multipliers = registers(QUAD, "float32")
            self._read("multipliers", channel, multipliers)
        results = registers(QUAD, arithmetic.accumulator)
        zero = chosen([arithmetic.zero(each.output) for each in self.layers], self.choice)
        with T.unroll(QUAD) as i:
            total = sums[first + i] + bias[i]
            if arithmetic.integers:
                steps = requantised(T.cast(total, "float32"), multipliers[i], zero)
                T.buffer_store(results, steps, [i])
            else:
                T.buffer_store(results, self._limited(total), [i])
        if merge:
            merge(results)
        elif arithmetic.integers:
            with T.unroll(QUAD) as i:
                T.buffer_store(results, results[i] + zero, [i])
        do(f"write4_{arithmetic.tag}", to, T.address_of(results[0]))

    def _limited(self, value: Expr) -> Expr:
        low, high = self.layers[0].limits or (-np.inf, np.inf)
        # An infinite one has a name in CUDA's headers, of which there are none.
        if low > -np.inf:
            value = T.max(value, T.float32(low))
        return T.min(value, T.float32(high)) if high < np.inf else value

    def _read(self, name: str, channel: Expr, into: Expr) -> None:
        names = [name + suffix for suffix in self.suffixes]
        at = self.block.constants_at(self.step, names, self.choice) + channel * 4
        address = T.address_of(self.block.constants()[at])
        kind = "words" if into.dtype == "int32" else "f32"
        do(f"read4_{kind}", address, T.address_of(into[0]))


def requantised(total: Expr, multiplier: Expr, zero: Expr) -> Expr:
    """Steps of the output less its zero, such that they saturate with it.

    As `targets.reference.integers`: one product in float32, rounded half to even.
    """
    steps = call("nearest", call("multiply", total, multiplier, dtype="float32"))
    return T.min(T.max(steps, T.int32(-128) - zero), T.int32(127) - zero)


def merged(block: Block, merge: Merge, top: Expr, results: Expr) -> None:
    """results + the coarser map's four stored values at the address `top`, as they are stored."""
    arithmetic = block.arithmetic
    values = registers(QUAD, arithmetic.accumulator)
    do(f"read4_{arithmetic.tag}", top, T.address_of(values[0]))
    with T.unroll(QUAD) as i:
        if merge.multipliers is None:
            T.buffer_store(results, results[i] + values[i], [i])
            return
        first, second = (T.float32(each) for each in merge.multipliers)
        other = T.cast(values[i] - arithmetic.zero(merge.top), "float32")
        # One multiply-add said outright: left to itself the compiler may fuse either product.
        total = call(
            "multiply_add", T.cast(results[i], "float32"), first,
            call("multiply", other, second, dtype="float32"), dtype="float32",
        )  # fmt: skip
        zero = arithmetic.zero(merge.output)
        steps = T.min(T.max(call("nearest", total), T.int32(-128 - zero)), T.int32(127 - zero))
        T.buffer_store(results, steps + zero, [i])
