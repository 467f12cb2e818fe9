"""The offset convolution as edge-passd compiles it: two operators for each level, one library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import tvm
from tvm import tirx
from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from bench.offset_case import ANCHORS, CHANNELS, OffsetCase
from edge_passd.engines.tvm_runtime import load_runtime, set_threads
from targets.build import build, llvm_target
from targets.graph import Convolution, Tensor
from targets.layout import SLACK, layout_of
from targets.lower import ENTRY
from targets.operators.convolution import constants, convolution
from targets.operators.emit import Argument, function, load, store
from targets.operators.sampling import offset_sample
from targets.table import native_board
from targets.tiles import tiles_of

_PRECISION = "fp32"


class CompiledCase:
    """An `OffsetCase` for this machine's processor, its weights packed and its inputs in NHWC.

    threads: of the thread that makes it, which must be the one that calls it.
    """

    def __init__(self, case: OffsetCase, threads: int) -> None:
        self._case = case
        arrays, calls = _lowered(case)
        tensors = {name: tvm.runtime.tensor(_with_slack(each)) for name, each in arrays.items()}
        # Without it threads are pinned, and spin for long: both disturb what is timed next.
        set_threads(load_runtime((), {}), threads)
        library = build(_module(calls, arrays), llvm_target(native_board()))
        self._tensors = tensors
        self.run = partial(library[ENTRY], *tensors.values())

    def maps(self, _: None) -> list[np.ndarray]:
        """(1, A, D, H, W) for each level, of the last run."""
        depth = self._case.outputs
        return [
            self._tensors[f"y{level}"].numpy()[: n * n * ANCHORS * depth]
            .reshape(1, n, n, ANCHORS, depth).transpose(0, 3, 4, 1, 2)
            for level, n in enumerate(each.shape[-1] for each in self._case.features)
        ]  # fmt: skip
