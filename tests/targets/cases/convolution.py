"""1x1 and 3x3 convolutions."""

from __future__ import annotations

from targets.isa.arithmetic import Arithmetic
from targets.tiles import Tile
from tests.targets.cases.case import Cases
from tests.targets.cases.layer import Shape, layer_cases

BARE = (0, 0)

SHAPES = {
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
    "by_output_all_blocks_whole": Shape(5, 5, 12, 64, tile=Tile(4, 2, by_output=True)),
    "one_piece": Shape(13, 19, 12, 40, tile=Tile(4, 2, chunks=1)),
    "a_last_piece_of_fewer_tiles": Shape(13, 19, 12, 40, tile=Tile(10, 2, chunks=4)),
    "more_pieces_than_tiles": Shape(13, 19, 12, 40, tile=Tile(4, 2, chunks=1000)),
}
PLAIN = Shape(4, 5, 64, 20, borders=(1, 1))


def cases(arithmetic: Arithmetic) -> Cases:
    return layer_cases("convolution", SHAPES, PLAIN, arithmetic)
