"""Numbers on a GPU: how they lie in memory, and in what they are summed.

Channels that pad a pixel may be anything finite. Whoever writes a tensor writes them too, for
memory that nobody wrote may hold NaN; whoever reads them has zero weights for them, or adds them to
another tensor's padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from targets.graph import Tensor

ROW_BYTES = 32  # a matrix unit's depth: a pixel's channels are padded to a multiple of it


@dataclass(frozen=True)
class Arithmetic:
    """stored: of activations and weights. accumulator: float32 or int32.

    tag: what the prelude's functions for it are called after. bias: the dtype it is stored in.
    """

    precision: str
    stored: np.dtype
    accumulator: str
    tag: str

    @property
    def item(self) -> int:
        """Bytes of a stored element."""
        return self.stored.itemsize

    @property
    def integers(self) -> bool:
        return self.accumulator == "int32"

    def pitch(self, channels: int) -> int:
        """Elements from one pixel to the next."""
        unit = ROW_BYTES // self.item
        return -(-channels // unit) * unit

    def bytes_of(self, tensor: Tensor) -> int:
        """What a tensor takes in memory: NHWC, each pixel's channels padded, no border."""
        return tensor.height * tensor.width * self.pitch(tensor.channels) * self.item

    def zero(self, tensor: Tensor) -> int:
        """What stands in memory for zero: integers 0..255 are stored less 128."""
        return 0 if tensor.grid is None else tensor.grid.zero_point - SHIFT

    def fill(self, tensor: Tensor) -> int:
        """A word of stored zeros, as a signed integer."""
        word = np.full(4 // self.item, self.zero(tensor), self.stored)
        return int(word.view(np.int32)[0])


SHIFT = 128

FLOAT32 = Arithmetic("fp32", np.dtype(np.float32), "float32", "f32")
FLOAT16 = Arithmetic("fp16", np.dtype(np.float16), "float32", "f16")
SIGNED8 = Arithmetic("int8", np.dtype(np.int8), "int32", "s8")

ARITHMETIC = {each.precision: each for each in (SIGNED8, FLOAT16, FLOAT32)}
