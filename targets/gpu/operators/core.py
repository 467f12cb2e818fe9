"""The innermost part of a convolution: a tile of products, on matrix units or in the threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.gpu.arithmetic import ROW_BYTES, Arithmetic
from targets.gpu.board import SIMT, TENSOR
from targets.gpu.kernel import WARP, call, do, quotient, registers, remainder
from targets.operators.emit import bind

UNIT = 16  # rows and columns of a matrix unit
FRAGMENT = 8  # words or sums of a lane
_QUAD = 4  # elements, or words of bytes, that a thread reads at once
_COLUMNS = 16  # threads side by side, of the scalar core


@dataclass(frozen=True)
class Tile:
    """What a block of threads computes: rows (pixels) by columns (outputs).

    depth: bytes of each in a piece of the reduction, at most; stages: how many pieces are in shared
    memory or on their way there.
    """

    rows: int
    columns: int
    depth: int
    stages: int
    threads: int = 128


class Core(Protocol):
    """Sums of a tile, spread over the threads of a block."""

    def start(self) -> None:
        """All sums zero."""

    def step(
        self, buffer: Expr, rows: Expr, row_pitch: int, columns: Expr, column_pitch: int
    ) -> None:
        """Add `ROW_BYTES` of the reduction. rows, columns: words of shared memory where they begin;
        pitches: words from one row or column to the next."""

    def store(self, sums: Expr, first: int, pitch: int) -> None:
        """All sums to shared memory, row by row, from number `first` on; pitch: numbers from one
        row to the next."""


def core_of(tile: Tile, arithmetic: Arithmetic, family: str, thread: Expr) -> Core:
    """family: one of `targets.gpu.board.FAMILIES`. For float32 matrix units are too coarse."""
    if family == TENSOR and arithmetic.precision != "fp32":
        return MatrixCore(tile, arithmetic, thread)
    return ScalarCore(tile, arithmetic, thread, family != SIMT and arithmetic.integers)


class MatrixCore:
    """Two by two warps, each with a quarter of the tile in units of 16 x 16."""

    def __init__(self, tile: Tile, arithmetic: Arithmetic, thread: Expr) -> None:
        warps = tile.threads // WARP
        across = 2
        self.tag, self.accumulator = arithmetic.tag, arithmetic.accumulator
        self.height = tile.rows // (warps // across) // UNIT
        self.width = tile.columns // across // UNIT
        if not self.height or not self.width:
            raise ValueError(f"{tile}: too small for {warps} warps")
        warp = bind(quotient(thread, WARP))
        self.row = bind(quotient(warp, across) * (self.height * UNIT))
        self.column = bind(remainder(warp, across) * (self.width * UNIT))

    def start(self) -> None:
        count = self.height * self.width * FRAGMENT
        self.sums = registers(count, self.accumulator)
        with T.unroll(count) as i:
            T.buffer_store(self.sums, T.cast(T.int32(0), self.accumulator), [i])

    def step(
        self, buffer: Expr, rows: Expr, row_pitch: int, columns: Expr, column_pitch: int
    ) -> None:
        a, b = (registers(count * FRAGMENT, "int32") for count in (self.height, self.width))
        for name, fragments, start, pitch, count in (
            ("a", a, rows + self.row * row_pitch, row_pitch, self.height),
            ("b", b, columns + self.column * column_pitch, column_pitch, self.width),
        ):
            with T.unroll(count) as i:
                address = T.address_of(buffer[start + i * (UNIT * pitch)])
                do(f"load_{name}_{self.tag}", T.address_of(fragments[i * FRAGMENT]), address,
                   pitch * 4)  # fmt: skip
        with T.unroll(self.height) as i, T.unroll(self.width) as j:
            sums = self.sums[(i * self.width + j) * FRAGMENT]
            do(f"multiply_{self.tag}", T.address_of(sums), T.address_of(a[i * FRAGMENT]),
               T.address_of(b[j * FRAGMENT]))  # fmt: skip

    def store(self, sums: Expr, first: int, pitch: int) -> None:
        with T.unroll(self.height) as i, T.unroll(self.width) as j:
            at = first + (self.row + i * UNIT) * pitch + self.column + j * UNIT
            own = T.address_of(self.sums[(i * self.width + j) * FRAGMENT])
            do("store_sums", T.address_of(sums[at]), own, pitch)


class ScalarCore:
    """Each thread has every so-manieth row and column, so that neighbours read neighbours.

    words: multiply words of four bytes, which some GPUs do at once; else element by element.
    """

    def __init__(self, tile: Tile, arithmetic: Arithmetic, thread: Expr, words: bool) -> None:
        self.tag, self.accumulator = arithmetic.tag, arithmetic.accumulator
        self.item, self.words = arithmetic.item, words
        self.down = tile.threads // _COLUMNS
        self.height, self.width = tile.rows // self.down, tile.columns // _COLUMNS
        self.row = bind(quotient(thread, _COLUMNS))
        self.column = bind(remainder(thread, _COLUMNS))

    def start(self) -> None:
        self.sums = registers(self.height * self.width, self.accumulator)
        with T.unroll(self.height * self.width) as i:
            T.buffer_store(self.sums, T.cast(T.int32(0), self.accumulator), [i])

    def step(
        self, buffer: Expr, rows: Expr, row_pitch: int, columns: Expr, column_pitch: int
    ) -> None:
        read = _QUAD if self.words else _QUAD * self.item // 4  # words of shared memory
        kind = "words" if self.words else self.tag
        dtype = "int32" if self.words else self.accumulator
        with T.serial(ROW_BYTES // 4 // read) as part:
            a, b = (registers(count * _QUAD, dtype) for count in (self.height, self.width))
            for values, start, stride, count in (
                (a, rows + self.row * row_pitch, self.down * row_pitch, self.height),
                (b, columns + self.column * column_pitch, _COLUMNS * column_pitch, self.width),
            ):
                with T.unroll(count) as i:
                    address = buffer[start + i * stride + part * read]
                    do(f"read4_{kind}", T.address_of(address), T.address_of(values[i * _QUAD]))
            with T.unroll(_QUAD) as k, T.unroll(self.height) as i, T.unroll(self.width) as j:
                at = i * self.width + j
                total = self._added(self.sums[at], a[i * _QUAD + k], b[j * _QUAD + k])
                T.buffer_store(self.sums, total, [at])

    def _added(self, total: Expr, a: Expr, b: Expr) -> Expr:
        if self.words:
            return call("dot_s8", a, b, total)
        if self.accumulator == "int32":
            return total + a * b
        return call("multiply_add", a, b, total, dtype="float32")

    def store(self, sums: Expr, first: int, pitch: int) -> None:
        with T.unroll(self.height) as i, T.unroll(self.width) as j:
            at = first + (self.row + i * self.down) * pitch + self.column + j * _COLUMNS
            T.buffer_store(sums, self.sums[i * self.width + j], [at])
