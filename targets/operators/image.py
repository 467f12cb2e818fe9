"""The input image: planes of float32 to pixels as the stem reads them."""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.tirx.script.builder import ir as T

from targets.graph import Image
from targets.isa.arithmetic import Arithmetic, saturated
from targets.layout import layout_of, stored_zero
from targets.operators.border import fill_border
from targets.operators.emit import Argument, constant, function, load, splat, store

COLOURS = 3
PIXELS = 16  # at once


def image(layer: Image, arithmetic: Arithmetic) -> tirx.PrimFunc:
    """f(x: (3, S, S) float32, y). Raises ValueError unless S is a multiple of `PIXELS`."""
    out = layout_of(layer.output, arithmetic)
    size, lanes = layer.output.width, PIXELS
    if size % lanes:
        raise ValueError(f"{layer.name}: a side of {size} pixels is no multiple of {lanes}")

    def body(x: Expr, y: Expr) -> None:
        with T.parallel(size) as row, T.serial(size // lanes) as block:
            colours = [
                T.Bind(_stored(layer, colour, arithmetic, _plane(x, colour, row, block), lanes))
                for colour in range(COLOURS)
            ]
            # The fourth channel meets weights of zero.
            channels = [*colours, colours[-1]]
            order = [constant(c * lanes + i) for i in range(lanes) for c in range(len(channels))]
            pixels = tirx.Shuffle(channels, order)
            store(y, out.at(row, block * lanes), pixels, out.pitch * lanes)
        fill_border(y, out, stored_zero(layer.output, arithmetic))

    def _plane(x: Expr, colour: int, row: Expr, block: Expr) -> Expr:
        return load(x, (row + colour * size) * size + block * lanes, lanes)

    return function(
        layer.name,
        [
            Argument("x", "float32", COLOURS * size * size),
            Argument("y", arithmetic.stored, out.size),
        ],
        body,
    )


def _stored(layer: Image, colour: int, arithmetic: Arithmetic, pixels: Expr, lanes: int) -> Expr:
    if layer.output.grid is None:
        scale, shift = (
            splat(values[colour], "float32", lanes) for values in (layer.scale, layer.shift)
        )
        return pixels * scale + shift
    # Cut before rounding: a cast of NaN or of a huge value to an integer could be anything.
    low, high = (splat(v, "float32", lanes) for v in (0.0, 255.0))
    rounded = T.cast(T.nearbyint(T.min(T.max(pixels, low), high)), f"int32x{lanes}")
    lowest = arithmetic.lowest
    stored = saturated(rounded, arithmetic.shift, lowest, lowest + 255, lanes)
    return T.cast(stored, f"{arithmetic.stored}x{lanes}")
