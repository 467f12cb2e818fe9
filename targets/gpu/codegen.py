"""From kernels in TIR to one source in CUDA C++, behind the prelude."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import tvm
import tvm_ffi
from tvm import tirx

_ARCHITECTURE = "sm_80"  # nothing of what TVM writes hangs on it; the prelude's choices come later


def kernels_source(module: tvm.IRModule) -> str:
    """The kernels as CUDA C++, without what TVM writes before them: `prelude` and `words` stand
    there instead."""
    target = tvm.target.Target({"kind": "cuda", "arch": _ARCHITECTURE})
    attribute = tirx.transform.prim_func_pass(
        lambda function, *_: function.with_attr("target", target), opt_level=0
    )
    # Straight to the printer: buffers are flat, and no division or function is left for TVM's
    # passes to lower, which would take seconds for each kernel.
    text = tvm_ffi.get_global_func("target.build.cuda")(attribute(module), target).inspect_source()
    return text[text.index('extern "C"') :]


def gpu_source(kernels: str) -> str:
    """What a compiler of NVIDIA's is given."""
    return _text("prelude.cuh") + words() + kernels


@cache
def words() -> str:
    """The part of the prelude that is plain C++, for a GPU and for its emulation."""
    return _text("words.cuh")


def _text(name: str) -> str:
    return files("targets.gpu").joinpath(name).read_text(encoding="utf-8")
