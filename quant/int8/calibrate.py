"""Ranges of activations from real photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edge_passd.errors import BadInput
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input
from quant.engine import model_info
from quant.int8.grid import ActivationGrid
from quant.int8.layers import QuantConv
from quant.int8.scheme import ACTIVATION, Scheme
from quant.model import PASSD

BATCH = 8
BINS = 2048
# Clipping is tried down to this share of a side of the range, in so many steps.
SMALLEST, CANDIDATES = 0.2, 33


@torch.inference_mode()
def calibrate(
    model: PASSD,
    photos: Sequence[Path],
    scheme: Scheme,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Set the range of every grid of a quantised model and correct its biases, in place.

    One look at the photos finds the extremes and the mean inputs, a second one, for "mse", the
    histograms between the extremes; activations are float meanwhile, weights are on their grid.
    Raises BadInput for a photo that cannot be read or a model that computes NaN.
    """
    grids = {n: m for n, m in model.named_modules() if isinstance(m, ActivationGrid)}
    looks = 2 if scheme.calibration == "mse" else 1
    total = looks * len(photos)
    extremes = {name: Extremes() for name in grids}
    convs = [m for m in model.modules() if isinstance(m, QuantConv) and m.is_int8]
    with watched_inputs(convs) as inputs:
        _watch(model, grids, extremes, photos, lambda done: progress(done, total))
    for name, seen in extremes.items():
        if not np.isfinite([seen.low, seen.high]).all():
            raise BadInput(f"calibration: {name} computes values that are not finite; train again")
    ranges = {name: (seen.low, seen.high) for name, seen in extremes.items()}
    if scheme.calibration == "mse":
        histograms = {name: Histogram(*ranges[name]) for name in grids}
        _watch(model, grids, histograms, photos, lambda done: progress(len(photos) + done, total))
        ranges = {name: seen.least_error_range() for name, seen in histograms.items()}
    for name, grid in grids.items():
        grid.set_range(*ranges[name])
    if scheme.bias_correction:
        for conv in convs:
            correct_bias(conv, inputs[conv])


@contextmanager
def watched_inputs(convs: Sequence[QuantConv]) -> Iterator[dict[QuantConv, Tensor]]:
    """While open, gathers what each convolution is given; then its mean, (I,) of each channel."""
    photos: dict[QuantConv, list[Tensor]] = {conv: [] for conv in convs}
    means: dict[QuantConv, Tensor] = {}

    def see(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(conv, QuantConv)
        photos[conv].append(inputs[0].mean((2, 3)))

    handles = [conv.register_forward_pre_hook(see) for conv in convs]
    try:
        yield means
    finally:
        for handle in handles:
            handle.remove()
    means |= {conv: torch.cat(means_of_photos).mean(0) for conv, means_of_photos in photos.items()}


def correct_bias(conv: QuantConv, mean_input: Tensor) -> None:
    """Take the mean of (rounded - float weights) * input out of the bias, in place.

    Nagel et al. 2019, section 4.2, with the means of real photos. Without it the first depthwise
    convolutions, whose nine weights round to a common side easily, cost most of the accuracy.
    mean_input: (I,). A convolution without bias stays as it is.
    """
    if conv.bias is not None:
        error = (conv.weight_grid(conv.weight) - conv.weight).sum((2, 3))
        depthwise = conv.groups > 1
        conv.bias.sub_(error[:, 0] * mean_input if depthwise else error @ mean_input)


class Extremes:
    """The lowest and the highest value seen, 0 among them."""

    def __init__(self) -> None:
        self.low = self.high = 0.0

    def see(self, x: Tensor) -> None:
        low, high = torch.aminmax(x)
        # Not min(): it loses a NaN.
        self.low = float(torch.minimum(low, torch.tensor(self.low)))
        self.high = float(torch.maximum(high, torch.tensor(self.high)))


class Histogram:
    """How often each of 2048 equal parts between two values was hit."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.counts = np.zeros(BINS)

    def see(self, x: Tensor) -> None:
        if self.high > self.low:
            self.counts += torch.histc(x.float(), BINS, self.low, self.high).cpu().numpy()

    def least_error_range(self) -> tuple[float, float]:
        """The range, within the extremes, whose grid has the least mean squared error.

        Rounding costs a twelfth of a squared step, clipping the squared distance to the range.
        """
        width = (self.high - self.low) / BINS
        values = self.low + (np.arange(BINS) + 0.5) * width
        shares = np.linspace(SMALLEST, 1.0, CANDIDATES)
        lows = self.low * shares if self.low < 0 else np.array([self.low])
        highs = self.high * shares if self.high > 0 else np.array([self.high])
        below = [(self.counts * np.minimum(values - low, 0) ** 2).sum() for low in lows]
        above = [(self.counts * np.maximum(values - high, 0) ** 2).sum() for high in highs]
        step = (highs - lows[:, None]) / ACTIVATION.steps
        error = np.add.outer(below, above) + self.counts.sum() * step**2 / 12
        low, high = np.unravel_index(int(error.argmin()), error.shape)
        return float(lows[low]), float(highs[high])


def _watch(
    model: PASSD,
    grids: dict[str, ActivationGrid],
    recorders: dict[str, Extremes] | dict[str, Histogram],
    photos: Sequence[Path],
    progress: Callable[[int], None],
) -> None:
    for name, grid in grids.items():
        grid.recorder = recorders[name]
    try:
        info, done = model_info(model, {}), 0
        for paths in _batches(photos):
            images = np.concatenate(
                [to_input(read_photo(p), info.input_size, info.resize)[0] for p in paths]
            )
            pixels = torch.from_numpy(images).to(model.device)
            model(pixels.contiguous(memory_format=torch.channels_last))
            done += len(paths)
            progress(done)
    finally:
        for grid in grids.values():
            grid.recorder = None


def _batches(photos: Sequence[Path]) -> list[Sequence[Path]]:
    return [photos[i : i + BATCH] for i in range(0, len(photos), BATCH)]
