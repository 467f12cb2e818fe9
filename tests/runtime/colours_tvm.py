"""What `fake_models.colour_model` computes, as TVM code: the functions of a bundle's library.

The boxes come from the constants; through the workspace goes the number of operators to run.
"""

import tvm
from fake_models import SIZE
from tvm.script import ir as I
from tvm.script import tirx as T

CONSTANTS = WORKSPACE = 64
OPERATORS = 3  # of `fake_bundles.MANIFEST`


def colours(white: int) -> tvm.IRModule:
    """white: the value of a channel that scores 1."""

    @I.ir_module
    class Colours:
        @T.prim_func(s_tir=True)
        def run(
            constants: T.Buffer((CONSTANTS,), "uint8"),
            workspace: T.Buffer((WORKSPACE,), "uint8"),
            image: T.Buffer((1, 3, SIZE, SIZE), "float32"),
            boxes: T.Buffer((1, 3, 4), "float32"),
            scores: T.Buffer((1, 3, 4), "float32"),
            first: T.int32,
            last: T.int32,
        ):
            T.func_attr({"global_symbol": "run", "tirx.noalias": True})
            for c in T.parallel(3):
                workspace[c] = T.cast(last - first, "uint8")
                for k in T.serial(4):
                    boxes[0, c, k] = T.cast(constants[c * 4 + k], "float32")
                    scores[0, c, k] = T.float32(0)
                for i, j in T.grid(SIZE, SIZE):
                    scores[0, c, c + 1] = scores[0, c, c + 1] + image[0, c, i, j]
                scores[0, c, c + 1] = (
                    scores[0, c, c + 1]
                    * T.cast(workspace[c], "float32")
                    / T.float32(SIZE * SIZE * white * OPERATORS)
                )
                scores[0, c, 0] = T.float32(1) - scores[0, c, c + 1]

    return Colours
