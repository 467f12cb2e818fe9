"""Where a tensor's values lie in memory."""

from __future__ import annotations

from dataclasses import dataclass

from targets.graph import Tensor
from targets.isa.arithmetic import Arithmetic
from targets.operators.emit import Index

SLACK = 64  # bytes behind every tensor: vectors may read (never write) past its end


@dataclass(frozen=True)
class Layout:
    """NHWC with a border. pitch: elements from one pixel to the next, at least the channels."""

    height: int
    width: int
    border: int
    pitch: int
    dtype: str

    @property
    def row(self) -> int:
        """Elements from one row of pixels to the next."""
        return (self.width + 2 * self.border) * self.pitch

    @property
    def size(self) -> int:
        """Elements, border included."""
        return (self.height + 2 * self.border) * self.row

    @property
    def item(self) -> int:
        """Bytes of an element."""
        return {"float32": 4, "int16": 2}.get(self.dtype, 1)

    def at(self, row: Index, column: Index) -> Index:
        """Index of a pixel's first channel; -1 is the border."""
        return (row + self.border) * self.row + (column + self.border) * self.pitch


def layout_of(tensor: Tensor, arithmetic: Arithmetic) -> Layout:
    """A pixel's channels are padded to whole vectors, or to four for the image's colours."""
    unit = 4 if tensor.channels < 4 else arithmetic.lanes
    pitch = -(-tensor.channels // unit) * unit
    return Layout(tensor.height, tensor.width, tensor.border, pitch, arithmetic.stored)


def stored_zero(tensor: Tensor, arithmetic: Arithmetic) -> int:
    """What stands in memory for zero."""
    return 0 if tensor.grid is None else tensor.grid.zero_point + arithmetic.shift


def flat(layout: Layout) -> Layout:
    """The same pixels as one row, where they lie without gaps."""
    return Layout(1, layout.height * layout.width, 0, layout.pitch, layout.dtype)
