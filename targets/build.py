"""From a TVM module to machine code: a pipeline of TVM's own passes, no more than our TIR needs."""

from __future__ import annotations

from collections.abc import Callable

import tvm
from tvm import tirx

from targets.board import Board

_PIPELINE = "edge_passd"


def build(module: tvm.IRModule, target: tvm.target.Target) -> tvm.runtime.Module:
    """Host code for every function of the module."""
    return tirx.build(module, target, pipeline=_PIPELINE)


def llvm_target(board: Board) -> tvm.target.Target:
    """The board's processor in TVM's words."""
    return tvm.target.Target(
        {
            "kind": "llvm",
            "mtriple": board.triple,
            "mcpu": board.cpu,
            "mattr": list(board.attributes),
            "num-cores": board.cores,
        }
    )


_CPU = 1  # DLPack's kDLCPU
_Passes = Callable[[], tvm.transform.Pass]


def _pipeline() -> tuple[tvm.transform.Pass, _Passes, _Passes]:
    """Our kernels come scheduled and vectorised, so that little is left to do."""
    passes = tvm.transform.Sequential(
        [
            tirx.transform.FlattenBuffer(),
            tirx.transform.StmtSimplify(),
            _on_cpu,
            tirx.transform.VerifyMemory(),
            tirx.transform.AnnotateEntryFunc(),
            tirx.transform.SplitHostDevice(),
            tirx.transform.MakePackedAPI(),
        ]
    )
    return passes, _host, lambda: tvm.transform.Sequential([])


@tirx.transform.prim_func_pass(opt_level=0, name="edge_passd.OnCpu")
def _on_cpu(
    function: tirx.PrimFunc, module: tvm.IRModule, context: tvm.transform.PassContext
) -> tirx.PrimFunc:
    """Say what TVM itself says of public functions only: where scratch memory is."""
    body = function.body
    for key, value in (("device_type", _CPU), ("device_id", 0)):
        body = tirx.AttrStmt(tirx.const(0), key, tirx.const(value), body)
    return function.with_body(body)


def _host() -> tvm.transform.Pass:
    return tvm.transform.Sequential(
        [tirx.transform.LowerTVMBuiltin(), tirx.transform.LowerIntrin()]
    )


tirx.register_tir_pipeline(_PIPELINE, _pipeline)
