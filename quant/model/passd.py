"""MobileNet-PASSD, whole: a picture in, proposals and boxes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edge_passd.boxes import MAX_SIZE_OFFSET
from quant.int8.scheme import Scheme
from quant.model.backbone import FeaturePyramid, MobileNet
from quant.model.config import ModelConfig
from quant.model.heads import AttendHead, ProposeHead, adjusted_boxes, transpose_axes


class Prediction(NamedTuple):
    """What the two stages say about all N default boxes, float32.

    objectness: (B, N, 2) logits of the propose stage (background, object); None without one.
    adjusted: (B, N, 4) proposed boxes, centres in input pixels; the default boxes without propose.
    logits: (B, N, C) class logits, background first.
    offsets: (B, N, 4) eq. 1 offsets from the adjusted to the final box.
    """

    objectness: Tensor | None
    adjusted: Tensor
    logits: Tensor
    offsets: Tensor


class PASSD(nn.Module):
    """The network of the paper's section 5 on a MobileNet-v1 backbone.

    It takes pixel values 0-255, (B, 3, S, S) RGB of any dtype; the normalisation is inside. S may
    differ from the configured size (any multiple of 64 with the same number of levels).
    """

    propose_scale: Tensor
    attend_scale: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.scheme: Scheme | None = None  # of a model that `quant.int8.convert` quantised
        self.normalise = Normalise(config)
        self.backbone = MobileNet()
        self.pyramid = FeaturePyramid(len(config.strides))
        self.propose = None if config.propose == "none" else ProposeHead(len(config.scales))
        self.attend = AttendHead(config)
        # The offsets that the convolutions put out are multiplied by these before use: with them
        # at the size of SSD's variances all outputs learn at one pace. A saved float model has
        # them in its weights instead, see `quant.training.scales`.
        self.register_buffer("propose_scale", torch.ones(4), persistent=False)
        self.register_buffer("attend_scale", torch.ones(4), persistent=False)
        self._initialise()

    def forward(self, images: Tensor) -> Prediction:
        features = self.pyramid(self.backbone(self.normalise(images)))
        objectness, boxes, outputs = zip(*[self._head(x) for x in features], strict=True)
        out = torch.cat(outputs, 1)
        classes = len(self.config.classes) + 1
        return Prediction(
            None if self.propose is None else torch.cat(objectness, 1),
            self._in_pixels(boxes),
            out[..., :classes],
            out[..., classes:] * self.attend_scale,
        )

    def _head(self, features: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """One level: objectness (B, n, 2), boxes (B, n, 4) cy cx h w in cells, (B, n, C + 4)."""
        anchors = len(self.config.scales)
        objectness, proposed = None, None
        if self.propose is not None:
            logits, offsets = self.propose(features)
            objectness = _boxes_last(logits, anchors).to(self.attend_scale.dtype)
            scale = self.propose_scale.repeat(anchors)[:, None, None]
            proposed = offsets.to(self.attend_scale.dtype) * scale
        boxes = adjusted_boxes(proposed, self.config, features)
        out = self.attend(features, boxes if self.config.point_gradient else boxes.detach())
        return (
            objectness,
            _boxes_last(boxes.flatten(1, 2), anchors),
            _boxes_last(out.flatten(1, 2), anchors),
        )

    def _in_pixels(self, levels: Sequence[Tensor]) -> Tensor:
        """Boxes of all levels, cy cx h w in cells, to (B, N, 4) cx cy w h in input pixels."""
        half_cell = torch.tensor([0.5, 0.5, 0.0, 0.0], device=self.device)
        strides = [
            torch.full((1, boxes.shape[1], 1), float(stride), device=self.device)
            for boxes, stride in zip(levels, self.config.strides, strict=True)
        ]
        boxes = (torch.cat(list(levels), 1) + half_cell) * torch.cat(strides, 1)
        return transpose_axes(boxes, 2)

    @property
    def device(self) -> torch.device:
        return self.attend_scale.device

    def detections(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the exported graph puts out: boxes (B, N, 4) corners in pixels, scores (B, N, C)."""
        prediction = self(images)
        boxes = decode_corners(prediction.offsets, prediction.adjusted)
        return boxes, torch.softmax(prediction.logits, -1)

    def _initialise(self) -> None:
        """New layers N(0, 0.01), bias 0 (section 6.1); the backbone is meant to be loaded."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
                nn.init.normal_(module.weight, std=0.01)
        for part in (self.backbone, self.pyramid.extra):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    # By fan-in: the fan-out of a depthwise convolution counts all its groups.
                    nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")


class Normalise(nn.Module):
    """(B, 3, S, S) RGB 0-255 of any dtype to what the backbone was trained on, float."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", _per_channel(config.mean), persistent=False)
        self.register_buffer("std", _per_channel(config.std), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images.to(self.mean.dtype) - self.mean) / self.std


def decode_corners(offsets: Tensor, boxes: Tensor) -> Tensor:
    """Eq. 1 as in `edge_passd.boxes.decode`, but corners out: (..., 4) centres to x1 y1 x2 y2."""
    centre = boxes[..., :2] + offsets[..., :2] * boxes[..., 2:]
    half = boxes[..., 2:] * offsets[..., 2:].clamp(-MAX_SIZE_OFFSET, MAX_SIZE_OFFSET).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def _boxes_last(x: Tensor, anchors: int) -> Tensor:
    """(B, A*K, H, W) to (B, H*W*A, K): rows, columns, anchors, as `default_boxes` orders them."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, anchors, channels // anchors, height * width)
    return x.permute(0, 3, 1, 2).reshape(batch, height * width * anchors, channels // anchors)


def _per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]
