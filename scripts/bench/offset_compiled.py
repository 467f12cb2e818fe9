"""The offset convolution as edge-passd compiles it, here for this machine's processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import tvm
from tvm import tirx
from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from bench.offset_case import ANCHORS, CHANNELS, OffsetCase, Prepared
from edge_passd.engines.tvm_runtime import load_runtime, set_threads
from targets.build import build, llvm_target
from targets.graph import Convolution, Tensor
from targets.layout import SLACK
from targets.lower import ENTRY
from targets.operators.convolution import constants, convolution
from targets.operators.emit import Argument, function, load, store
from targets.operators.sampling import offset_sample
from targets.table import native_board
from targets.tiles import tiles_of

PRECISION = "fp32"

Call = tuple[tirx.PrimFunc, Sequence[str]]  # an operator, and the arrays that it is called with


def compiled(case: OffsetCase, threads: int) -> Prepared:
    """The case with features in NHWC and packed weights, as within a compiled model.

    threads: of TVM in the calling thread from now on; this thread must be the one that runs it.
    """
    runtime = load_runtime((), {})  # it sets how threads wait, which TVM reads when the first runs
    set_threads(runtime, threads)
    arrays, calls = _operators(case)
    library = build(_module(arrays, calls), llvm_target(native_board()))
    tensors = {name: tvm.runtime.tensor(_with_slack(array)) for name, array in arrays.items()}

    def maps(_: object) -> list[np.ndarray]:
        outputs = [f"y{level}" for level in range(len(case.features))]
        return [
            tensors[name].numpy()[: arrays[name].size].reshape(arrays[name].shape)
            .transpose(2, 3, 0, 1)[None]
            for name in outputs
        ]  # fmt: skip

    return Prepared(partial(library[ENTRY], *tensors.values()), maps)


def _operators(case: OffsetCase) -> tuple[dict[str, np.ndarray], list[Call]]:
    """All arrays by name, float32, and the operators in the order in which they run."""
    board = native_board()
    arithmetic, tiles = board.arithmetic_of(PRECISION), tiles_of(board, PRECISION)
    rows = len(case.weight)
    arrays = {"bias": case.bias}
    calls: list[Call] = []
    for level, (features, boxes) in enumerate(zip(case.features, case.boxes, strict=True)):
        height, width = features.shape[2:]
        projected = Tensor("projected", height, width, rows)
        layer = Convolution(
            "projection", Tensor("features", height, width, CHANNELS), projected,
            case.weight[:, :, None, None], np.zeros(rows, np.float32),
        )  # fmt: skip
        tile = tiles.of(layer)
        packed = constants(layer, arithmetic, tile)
        x, box, y = (f"{name}{level}" for name in ("features", "boxes", "y"))
        weights = f"weights{tile.vectors}"  # levels whose tiles are as wide share them
        arrays |= {
            x: features[0].transpose(1, 2, 0),
            box: boxes[0].transpose(2, 3, 0, 1),
            y: np.empty((height, width, *case.bias.shape), np.float32),
            weights: packed["weights"],
            "no bias": packed["bias"],
        }
        # The levels are called in turn, largest first, and share the projected map's memory.
        arrays.setdefault("map", np.empty((height, width, packed["bias"].size), np.float32))
        calls += [
            (convolution(layer, arithmetic, tile), (x, weights, "no bias", "map")),
            (offset_sample(projected, ANCHORS, case.outputs, arithmetic), ("map", box, y)),
            (_add_bias(height * width, case.bias.size), ("bias", y)),
        ]
    return arrays, calls


def _add_bias(cells: int, size: int) -> tirx.PrimFunc:
    """f(bias: (A, D), y: (H, W, A, D)); a model adds it where it decodes."""

    def body(bias: Expr, y: Expr) -> None:
        with T.parallel(cells) as cell, T.serial(size) as i:
            at = cell * size + i
            store(y, at, load(y, at, 1) + load(bias, i, 1), 1)

    arguments = [Argument("bias", "float32", size), Argument("y", "float32", cells * size)]
    return function("add_bias", arguments, body)


def _module(arrays: Mapping[str, np.ndarray], calls: Sequence[Call]) -> tvm.IRModule:
    """With one entry, which takes all arrays and calls the operators."""
    module = tvm.IRModule()
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(ENTRY)
        T.func_attr({"global_symbol": ENTRY, "tirx.noalias": True})
        buffers = {
            name: T.arg(name, T.buffer((_with_slack(array).size,), "float32"))
            for name, array in arrays.items()
        }
        for i, (operator, names) in enumerate(calls):
            module[f"operator{i}"] = operator
            pointers = [T.address_of(buffers[name][0]) for name in names]
            T.evaluate(tvm.ir.Call(module.get_global_var(f"operator{i}"), pointers))
    module[ENTRY] = builder.get()
    return module


def _with_slack(array: np.ndarray) -> np.ndarray:
    """Flat, with room behind it: vectors may read past the end."""
    return np.pad(array.ravel(), (0, SLACK // array.itemsize))
