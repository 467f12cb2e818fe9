"""What the compiler works on: a model as a short list of our operators, with static shapes.

Tensors are NHWC, batch 1. Passes turn one `Graph` into another; weights stay numpy arrays in the
layout of ONNX until they are packed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np


@dataclass(frozen=True)
class Grid:
    """value = scale * (integer - zero_point), integers 0..255 (the ONNX graph's u8)."""

    scale: float
    zero_point: int


@dataclass(eq=False)
class Tensor:
    """An activation. grid: None for float32. border: rows and columns of zeros around it."""

    name: str
    height: int
    width: int
    channels: int
    grid: Grid | None = None
    border: int = 0


@dataclass(eq=False)
class Image:
    """The input: NCHW float32 pixels 0..255 to `output`.

    In float a pixel becomes pixel * scale + shift, by colour; on the grid it stays as it is.
    """

    name: str
    output: Tensor
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return ()


@dataclass(eq=False)
class Convolution:
    """1x1 or 3x3 convolution, or 3x3 depthwise; padding 1 for 3x3.

    weights: (O, I, k, k), depthwise (O, 1, k, k); s8 or float32. bias: (O,) int32 or float32.
    multipliers: (O,) float32, accumulator to output steps; None in float. limits: of a float
    output, ReLU6's (0, 6) or None.
    """

    name: str
    input: Tensor
    output: Tensor
    weights: np.ndarray
    bias: np.ndarray
    stride: int = 1
    depthwise: bool = False
    multipliers: np.ndarray | None = None
    limits: tuple[float, float] | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.input,)

    @property
    def kernel(self) -> int:
        return self.weights.shape[2]

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.weights.size


@dataclass(eq=False)
class Merge:
    """lateral + nearest 2x upsampled top: the pyramid's top-down step.

    multipliers: of lateral and top, float32, input steps to output steps; None in float.
    """

    name: str
    lateral: Tensor
    top: Tensor
    output: Tensor
    multipliers: tuple[float, ...] | None = None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.lateral, self.top)


@dataclass(frozen=True, eq=False)
class Head:
    """What the propose and attend stages need beside their maps (spec, Propose and Attend).

    sides: of the default boxes, in cells, one for each anchor. clipped: the centre by eq. 2, else
    eq. 1. offset_scales: (4,) float, of the propose stage's dx dy dw dh. attend_scales: (4,), of
    the attend stage's. bias: (A, C + 4) of the offset convolution. classes: C, with background.
    """

    sides: tuple[float, ...]
    clipped: bool
    offset_scales: tuple[float, ...]
    attend_scales: tuple[float, ...]
    bias: np.ndarray
    classes: int

    @property
    def anchors(self) -> int:
        return len(self.sides)

    @property
    def depth(self) -> int:
        """Outputs for each anchor and tap, D."""
        return self.classes + 4


@dataclass(eq=False)
class Attend:
    """One level's boxes and scores: propose, sample, decode and softmax.

    offsets: (H, W, 4 A). projected: (H, W, A * 9 * D). first: index of its first box. stride: in
    pixels.
    """

    name: str
    offsets: Tensor
    projected: Tensor
    head: Head
    stride: float
    first: int

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.offsets, self.projected)

    @property
    def boxes(self) -> int:
        return self.projected.height * self.projected.width * self.head.anchors


Layer: TypeAlias = "Image | Convolution | Merge | Attend"


def output_of(layer: Layer) -> Tensor | None:
    """The tensor that a layer writes; None for `Attend`, which writes the model's outputs."""
    return None if isinstance(layer, Attend) else layer.output


@dataclass(frozen=True)
class Graph:
    """layers in an order in which they can run. size: side of the square input, pixels."""

    layers: tuple[Layer, ...]
    size: int
    classes: int
    boxes: int


Pass: TypeAlias = Callable[[Graph], Graph]
