"""MobileNet-v1 1.0 without its classifier, and the feature pyramid on top of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from quant.model.layers import ConvNorm, SeparableBlock

# (outputs, stride) of the 13 blocks after the stem (Howard et al. 2017, table 1).
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
TAPS = (5, 11, 13)  # blocks whose outputs feed the pyramid: strides 8, 16 and 32
TAP_CHANNELS = (256, 512, 1024)
EXTRA_CHANNELS = 512
PYRAMID_CHANNELS = 256


class MobileNet(nn.Module):
    """(B, 3, S, S) to the maps of strides 8, 16, 32: 256, 512 and 1024 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2)
        self.blocks = nn.ModuleList()
        channels = 32
        for outputs, stride in BLOCKS:
            self.blocks.append(SeparableBlock(channels, outputs, stride))
            channels = outputs

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        taps = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in TAPS:
                taps.append(x)
        return taps


class FeaturePyramid(nn.Module):
    """Extra levels, 1x1 laterals, top-down nearest-neighbour adds, 3x3 smoothing.

    The top level is not smoothed: only so do the paper's parameter counts come out.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        extras = levels - len(TAP_CHANNELS)
        channels = (*TAP_CHANNELS, *[EXTRA_CHANNELS] * extras)
        self.extra = nn.ModuleList(
            SeparableBlock(inputs, EXTRA_CHANNELS, 2) for inputs in channels[2 : 2 + extras]
        )
        self.laterals = nn.ModuleList(nn.Conv2d(c, PYRAMID_CHANNELS, 1) for c in channels)
        self.merges = nn.ModuleList(Merge() for _ in channels[:-1])
        self.smoothing = nn.ModuleList(
            nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, padding=1) for _ in channels[:-1]
        )

    def forward(self, taps: Sequence[Tensor]) -> list[Tensor]:
        """Maps from the backbone, fine to coarse, to one 256-channel map for each level."""
        maps = list(taps)
        for block in self.extra:
            maps.append(block(maps[-1]))
        merged = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        for level in range(len(merged) - 2, -1, -1):
            merged[level] = self.merges[level](merged[level], merged[level + 1])
        smoothed = [conv(x) for conv, x in zip(self.smoothing, merged[:-1], strict=True)]
        return [*smoothed, merged[-1]]


class Merge(nn.Module):
    """Adds the next coarser map, doubled by nearest neighbour: two (B, 256, H, W) to one."""

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        doubled = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        # Where a level has an odd side (832 px: 13 and 7 cells) the doubled map is too large by
        # one cell.
        return fine + doubled[..., : fine.shape[-2], : fine.shape[-1]]
