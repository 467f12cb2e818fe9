"""Layers of one convolution: direct, depthwise, by Winograd."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from tvm import tirx

from targets.graph import Convolution
from targets.isa.arithmetic import Arithmetic
from targets.operators import convolution, depthwise, winograd
from targets.tiles import Tile
from tests.targets.cases.arrays import generator, in_memory, on_integers, to_write
from tests.targets.cases.case import Case, Cases
from tests.targets.cases.layer import Fill, Shape, layer_of, result, variants

BARE = (0, 0)

DIRECT = {
    "one_pixel": Shape(1, 1, 40, 12, kernel=1, borders=BARE),
    "one_pixel_3x3": Shape(1, 1, 40, 12),
    "one_row": Shape(1, 7, 12, 40),
    "one_column": Shape(7, 1, 12, 40, borders=(1, 1)),
    "odd": Shape(13, 19, 40, 40, tile=Tile(10, 2)),
    "odd_stride_2": Shape(13, 19, 12, 40, stride=2, borders=(1, 1)),
    "even_stride_2": Shape(6, 10, 12, 40, stride=2),
    "1x1_as_one_row_of_pixels": Shape(13, 19, 40, 40, kernel=1, borders=BARE),
    "1x1_with_a_border_before": Shape(13, 19, 40, 40, kernel=1, borders=(1, 0)),
    "1x1_with_a_border_behind": Shape(13, 19, 40, 40, kernel=1, borders=(0, 1)),
    "1x1_stride_2": Shape(13, 19, 12, 40, kernel=1, stride=2, borders=BARE),
    "three_colours": Shape(16, 16, 3, 32, stride=2, borders=(1, 1)),
    "four_outputs": Shape(5, 3, 12, 4),
    "channels_that_end_within_a_load": Shape(3, 3, 20, 12, kernel=1, borders=BARE),
    "a_tile_of_several_rows": Shape(5, 5, 12, 40, tile=Tile(20, 2)),
    "a_tile_larger_than_the_map": Shape(2, 3, 12, 40, tile=Tile(64, 1)),
    "a_tile_wider_than_the_outputs": Shape(4, 5, 12, 12, tile=Tile(3, 5)),
    "a_last_block_of_fewer_vectors": Shape(5, 5, 40, 270, kernel=1, tile=Tile(10, 4)),
    "by_output": Shape(5, 5, 40, 270, tile=Tile(10, 2, by_output=True)),
    "by_output_all_blocks_whole": Shape(5, 5, 12, 128, tile=Tile(4, 2, by_output=True)),
    "by_output_of_few_blocks": Shape(5, 5, 12, 20, tile=Tile(2, 2, by_output=True)),
    "one_piece": Shape(13, 19, 12, 40, tile=Tile(4, 2, chunks=1)),
    "a_last_piece_of_fewer_tiles": Shape(13, 19, 12, 40, tile=Tile(10, 2, chunks=4)),
    "more_pieces_than_tiles": Shape(13, 19, 12, 40, tile=Tile(4, 2, chunks=1000)),
}
DEPTHWISE = {
    "one_pixel": Shape(1, 1, 16, None),
    "one_row": Shape(1, 7, 48, None),
    "one_column": Shape(7, 1, 48, None, borders=(1, 1)),
    "odd": Shape(13, 19, 48, None),
    "odd_with_a_border_behind": Shape(13, 19, 16, None, borders=(1, 1)),
    "odd_stride_2": Shape(13, 19, 48, None, stride=2, borders=(1, 1)),
    "even_stride_2": Shape(6, 10, 48, None, stride=2),
    "one_pixel_at_a_time": Shape(3, 5, 16, None, tile=Tile(1, 1)),
    "a_row_at_a_time": Shape(3, 19, 16, None, tile=Tile(19, 1)),
    "a_tile_wider_than_the_map": Shape(3, 5, 16, None, tile=Tile(32, 1)),
    "many_channels": Shape(4, 5, 272, None),
}
WINOGRAD = {
    "one_tile": Shape(2, 2, 12, 20),
    "one_row_of_tiles": Shape(2, 14, 12, 40),
    "one_column_of_tiles": Shape(14, 2, 12, 40, borders=(1, 1)),
    "odd_numbers_of_tiles": Shape(10, 6, 40, 40, borders=(1, 1)),
    "one_strip": Shape(10, 6, 12, 40, tile=Tile(5, 2, chunks=1)),
    "strips_of_several_rows": Shape(12, 6, 12, 40, tile=Tile(4, 2, chunks=3)),
    "groups_that_do_not_divide_a_strip": Shape(4, 10, 12, 40, tile=Tile(3, 2, chunks=2)),
    "a_last_block_of_fewer_vectors": Shape(4, 4, 20, 72, tile=Tile(4, 4)),
    "a_tile_larger_than_the_map": Shape(4, 4, 12, 12, tile=Tile(64, 5)),
}
PLAIN = {
    "convolution": Shape(4, 5, 64, 20, borders=(1, 1)),
    "depthwise": Shape(4, 9, 16, None, borders=(1, 1)),
    "winograd": Shape(4, 6, 20, 20, borders=(1, 1)),
}


def case(
    name: str,
    shape: Shape,
    arithmetic: Arithmetic,
    fill: Fill | None = None,
    by_winograd: bool = False,
) -> Case:
    rng = generator(name)
    layer, x = layer_of(name, shape, arithmetic, rng, fill)
    values, error = result(layer, x)
    if by_winograd:
        # Its sums run over values from all over a tile, four times as many of them.
        error = np.full(error.shape, 4 * error.max())
    function, constants = _operator(layer, arithmetic, shape.tile, by_winograd)
    inputs = {"x": in_memory(x, layer.input, arithmetic, rng), **constants}
    limits = {"y": to_write(error, layer.output, arithmetic).data}
    expected = {"y": to_write(values, layer.output, arithmetic)}
    return Case(name, function, inputs, expected, {} if on_integers(arithmetic) else limits)


def _operator(
    layer: Convolution, arithmetic: Arithmetic, tile: Tile, by_winograd: bool
) -> tuple[tirx.PrimFunc, Mapping[str, np.ndarray]]:
    arithmetic = arithmetic.for_weights(layer.weights)
    if layer.depthwise:
        function = depthwise.depthwise(layer, arithmetic, tile)
        return function, depthwise.constants(layer, arithmetic)
    if by_winograd:
        function = winograd.winograd(layer, arithmetic, tile)
        return function, winograd.constants(layer, arithmetic, tile)
    function = convolution.convolution(layer, arithmetic, tile)
    return function, convolution.constants(layer, arithmetic, tile)


def direct_cases(arithmetic: Arithmetic) -> Cases:
    return _cases("convolution", DIRECT, arithmetic)


def depthwise_cases(arithmetic: Arithmetic) -> Cases:
    return _cases("depthwise", DEPTHWISE, arithmetic)


def winograd_cases(arithmetic: Arithmetic) -> Cases:
    """None where the direct form is always better."""
    return _cases("winograd", WINOGRAD, arithmetic) if arithmetic.transformed() else {}


def _cases(kind: str, shapes: Mapping[str, Shape], arithmetic: Arithmetic) -> Cases:
    return {
        name: partial(case, f"{kind}_{name}", shape, arithmetic, fill, kind == "winograd")
        for name, (shape, fill) in variants(shapes, PLAIN[kind], arithmetic).items()
    }
