"""exp on vectors."""

from __future__ import annotations

from functools import partial

import numpy as np
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.isa.arithmetic import Arithmetic
from targets.operators.emit import Argument, function, load, store
from targets.operators.maths import HIGHEST, LOWEST, exp
from tests.targets.cases.case import Case, Cases

ERROR = 1e-7  # relative, as its docstring says
ENDS = (LOWEST, HIGHEST, 0.0, -0.0, 1e-30, -1e-45, -1e30, 1e30, np.inf, -np.inf, 88.5, -87.5)


def values() -> np.ndarray:
    """(32768,) float32: all of the range and beyond, its ends, and around zero."""
    around = np.geomspace(1e-10, 1, 6000)
    half = np.log(2) * (np.arange(-120, 120) + 0.5)  # where the power of two changes
    listed = np.concatenate([np.linspace(-100, 100, 20000), around, -around, half, ENDS])
    return np.resize(listed, 32768).astype(np.float32)


def case(name: str, lanes: int) -> Case:
    x = values()

    def body(source: Expr, target: Expr) -> None:
        with T.serial(x.size // lanes) as i:
            store(target, i * lanes, exp(load(source, i * lanes, lanes), lanes), lanes)

    pointers = [Argument("x", "float32", x.size), Argument("y", "float32", x.size)]
    wanted = np.exp(np.clip(x.astype(np.float64), LOWEST, HIGHEST))
    made = function(name, pointers, body)
    return Case(name, made, {"x": x}, {"y": np.ma.array(wanted)}, {"y": ERROR * wanted})


def cases(arithmetic: Arithmetic) -> Cases:
    return {
        f"{lanes}_lanes": partial(case, f"exp_{lanes}_lanes", lanes)
        for lanes in sorted({2, 4, arithmetic.lanes})
    }
