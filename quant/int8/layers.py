"""The layers of a quantised model. Each tensor is rounded once, by the layer that makes it."""

from __future__ import annotations

from torch import Tensor, nn

from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.scheme import ACTIVATION
from quant.model.backbone import Merge
from quant.model.passd import Normalise


class QuantConv(nn.Module):
    """A convolution, norm folded, its activation and the grid of its output, as `ConvNorm`:
    (B, I, H, W) to (B, O, ceil(H/s), ceil(W/s)), float values of u8 grids in and out.

    The bias stays float here; the exported graph holds it as int32 in steps of input scale times
    weight scale, far below a step of the output.
    """

    def __init__(
        self, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None, grid: nn.Module, out: nn.Module
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.stride, self.padding = conv.stride, conv.padding
        self.dilation, self.groups = conv.dilation, conv.groups
        self.weight_grid = grid
        self.output = out

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.sums(x))

    def sums(self, x: Tensor) -> Tensor:
        """What the convolution adds up, before its output is rounded."""
        weight = self.weight_grid(self.weight)
        return nn.functional.conv2d(
            x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    @property
    def is_int8(self) -> bool:
        """Whether it computes on integers; a layer kept float may still have a rounded output."""
        return isinstance(self.weight_grid, WeightGrid)


class QuantMerge(nn.Module):
    """The pyramid's upsample and add, see `Merge`: two (B, 256, H, W) to one on a grid of its own.

    The upsampled map keeps the grid of the coarse one.
    """

    def __init__(self, merge: Merge, output: ActivationGrid) -> None:
        super().__init__()
        self.merge = merge
        self.output = output

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.output(self.merge(fine, coarse))


class ImageGrid(nn.Module):
    """Pixels as the integers they are: u8 with the normalisation as its scale and zero point.

    (B, 3, S, S) RGB 0-255 of any dtype to float32 of the same shape.

    Nothing is lost: pixel p stands for (p - zero_point) * scale. The scale and zero point are one
    for all channels; `quant.int8.convert` moves the rest of the normalisation into the stem.
    """

    def __init__(self, normalise: Normalise) -> None:
        super().__init__()
        self.zero_point = round(float(normalise.mean.mean()))
        self.scale = 1.0 / float(normalise.std.mean())

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float().round().clamp(ACTIVATION.lowest, ACTIVATION.highest)
        return (pixels - self.zero_point) * self.scale
