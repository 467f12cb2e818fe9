"""3x3 depthwise convolutions."""

from __future__ import annotations

from targets.isa.arithmetic import Arithmetic
from targets.tiles import Tile
from tests.targets.cases.case import Cases
from tests.targets.cases.layer import Shape, layer_cases

SHAPES = {
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
PLAIN = Shape(4, 9, 16, None, borders=(1, 1))


def cases(arithmetic: Arithmetic) -> Cases:
    return layer_cases("depthwise", SHAPES, PLAIN, arithmetic)
