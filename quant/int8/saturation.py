"""What an x86 processor without VNNI makes of an int8 model, computed exactly on any machine.

Such a processor multiplies bytes by vpmaddubsw: u8 by s8, two neighbouring products added in 16
bits, which saturates. onnxruntime and OpenVINO convolve with it (depthwise convolutions excepted,
where no two products of a channel are neighbours). Weights of 7 bits never saturate.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from edge_passd.parity import INT8_LIMITS, compare
from quant.engine import TorchEngine
from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import ImageGrid, QuantConv
from quant.int8.scheme import ACTIVATION
from quant.model import PASSD

LEAST, MOST = -(2**15), 2**15 - 1
# The emulation takes a second a photo, and errors of this kind show on each.
PHOTOS = 20


@dataclass(frozen=True)
class WithoutVnni:
    """How a model computed with saturating pairs compares with the model on `photos` photos.

    safe: whether it passes the parity gate of int8. Errors as in `edge_passd.parity.Parity`: boxes
    in pixels of the model input. photos: 0 where the weights rule saturation out.
    """

    safe: bool
    box_error: float = 0.0
    mean_box_error: float = 0.0
    score_error: float = 0.0
    matched: float = 1.0
    photos: int = 0

    def __str__(self) -> str:
        if not self.photos:
            return "x86 without VNNI: right, no sum of these weights saturates"
        verdict = "right within rounding" if self.safe else "WRONG in onnxruntime and OpenVINO"
        cure = "" if self.safe else "; make weights of 7 bits (edge-passd qat), or compile for x86"
        return (
            f"x86 without VNNI: {verdict}: boxes within {self.box_error:.2g} px "
            f"({self.mean_box_error:.2g} on average), scores within {self.score_error:.2g}, "
            f"{self.matched:.1%} of the detections the same on {self.photos} photos{cure}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For the file's metadata."""
        return asdict(self)


def check_without_vnni(model: PASSD, photos: Sequence[Path], console: Console) -> WithoutVnni:
    """What x86 processors without VNNI make of a quantised model; said on the console too.

    A warning, no gate: compiled, or in LiteRT, the model is right there.
    """
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("emulating x86 without VNNI", total=PHOTOS)
        record = compare_without_vnni(model, photos, lambda: bars.advance(bar))
    console.print(str(record), highlight=False, soft_wrap=True)
    return record


def compare_without_vnni(
    model: PASSD, photos: Sequence[Path], progress: Callable[[], None] = lambda: None
) -> WithoutVnni:
    """Hold a quantised model against itself as a processor without VNNI computes it.

    photos: of which some are taken. progress: called after each of `PHOTOS`.
    """
    emulated, layers = without_vnni(model)
    if not layers:
        return WithoutVnni(safe=True)
    some = photos[:: -(-len(photos) // PHOTOS)]
    found = compare(TorchEngine.of(model), TorchEngine.of(emulated), some, INT8_LIMITS, progress)
    return WithoutVnni(
        found.problem is None,
        found.boxes.error,
        found.mean_box_error,
        found.scores.error,
        found.matched,
        found.photos,
    )


def without_vnni(model: PASSD) -> tuple[PASSD, list[str]]:
    """A copy of a quantised model that adds products in saturating pairs, and the names of the
    layers in which that can make a difference."""
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, ActivationGrid | ImageGrid):
            module.register_forward_hook(_remember_grid)
    layers = []
    for name, conv in list(model.named_modules()):
        if isinstance(conv, QuantConv) and conv.groups == 1:
            grid = conv.weight_grid
            if isinstance(grid, WeightGrid) and len(pairs := Pairs.of(grid.integers(conv.weight))):
                layers.append(name)
                model.set_submodule(name, _InPairs(conv, pairs, grid.scale(conv.weight)))
    return model, layers


@dataclass(frozen=True)
class Pairs:
    """The n pairs of neighbouring weights of a layer whose sum may saturate.

    Neighbours along K: kernel row, kernel column, channel, as engines lay their maps out (NHWC).
    outputs: (n,) output channel of each. rows: (n, 2) rows of `F.unfold`'s result that they take.
    weights: (n, 2) float32 integers.
    """

    outputs: Tensor
    rows: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.outputs)

    @classmethod
    def of(cls, weights: Tensor) -> Pairs:
        """Of the int8 (O, I, k, k) weights of a convolution."""
        outputs, channels, *kernel = weights.shape
        taps = kernel[0] * kernel[1]
        size = taps * channels
        along_k = weights.reshape(outputs, channels, taps).transpose(1, 2).reshape(outputs, size)
        # Row of each element of K in what `F.unfold` gives: channel by channel, then taps.
        rows = torch.arange(size, device=weights.device).view(channels, taps).T.reshape(-1)
        along_k, rows = F.pad(along_k, (0, size % 2)), F.pad(rows, (0, size % 2))
        each = along_k.view(outputs, -1, 2).float()
        most = ACTIVATION.highest * each.clamp(min=0).sum(2)
        least = ACTIVATION.highest * each.clamp(max=0).sum(2)
        output, pair = ((most > MOST) | (least < LEAST)).nonzero(as_tuple=True)
        return cls(output, rows.view(-1, 2)[pair], each[output, pair])


class _InPairs(nn.Module):
    """A convolution whose sums lack what saturating pairs lose."""

    def __init__(self, conv: QuantConv, pairs: Pairs, scale: Tensor) -> None:
        super().__init__()
        self.conv, self.pairs, self.scale = conv, pairs, scale.flatten()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv.sums(x)
        return self.conv.output(y - self._lost(x).view_as(y))

    def _lost(self, x: Tensor) -> Tensor:
        """(B, O, pixels), in the values of the sums."""
        conv, pairs = self.conv, self.pairs
        step, zero = _grid_of(x)
        assert isinstance(conv.padding, tuple)
        down, across = conv.padding
        integers = F.pad((x / step).round() + zero, (across, across, down, down), value=zero)
        columns = F.unfold(integers, conv.weight.shape[2:], conv.dilation, 0, conv.stride)
        first, second = (columns[:, pairs.rows[:, i]] * pairs.weights[:, i, None] for i in range(2))
        sums = first + second
        excess = sums - sums.clamp(LEAST, MOST)
        lost = columns.new_zeros(len(x), len(conv.weight), columns.shape[2])
        return lost.index_add_(1, pairs.outputs, excess) * (self.scale * step)[:, None]


def _remember_grid(grid: nn.Module, _: tuple[Tensor, ...], values: Tensor) -> None:
    """Its step and zero go along with a tensor: levels share convolutions, not grids."""
    assert isinstance(grid, ActivationGrid | ImageGrid)
    values.grid = float(grid.scale), int(grid.zero_point)  # type: ignore[attr-defined]


def _grid_of(values: Tensor) -> tuple[float, int]:
    grid: tuple[float, int] = values.grid  # type: ignore[attr-defined]
    return grid
