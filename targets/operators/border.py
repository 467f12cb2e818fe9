"""The border of zeros around a tensor that a 3x3 window will read."""

from __future__ import annotations

from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.layout import Layout
from targets.operators.emit import Index, splat, store


def fill_border(y: Expr, layout: Layout, zero: int) -> None:
    """Write `zero`, as stored, around the map."""
    if not layout.border:
        return
    assert layout.border == 1
    lanes = next(n for n in (64, 32, 16, 8, 4) if layout.pitch % n == 0)
    value = splat(zero, layout.dtype, lanes)

    def run(start: Index, elements: int) -> None:
        with T.serial(elements // lanes) as i:
            store(y, start + i * lanes, value, lanes)

    run(layout.at(-1, -1), layout.row)
    run(layout.at(layout.height, -1), layout.row)
    with T.serial(layout.height) as row:
        run(layout.at(row, -1), layout.pitch)
        run(layout.at(row, layout.width), layout.pitch)
