"""Ranges and biases from photos: which photos, and what is made of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rich.console import Console
from torch import Tensor, nn

from edge_passd.errors import BadInput
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input
from edge_passd.samples import DataSet
from quant.int8 import calibrate as module
from quant.int8.calibrate import Extremes, Histogram, calibrate, correct_bias
from quant.int8.convert import quantise
from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import QuantConv
from quant.int8.run import calibrated
from quant.int8.scheme import CALIBRATIONS, WEIGHTS, Calibration, Scheme
from quant.model import PASSD
from tests.training import tiny


def grids(model: PASSD) -> dict[str, ActivationGrid]:
    return {n: m for n, m in model.named_modules() if isinstance(m, ActivationGrid)}


def calibrated_on(photos: list[Path], model: PASSD, scheme: Scheme) -> PASSD:
    whole = quantise(model, scheme)
    calibrate(whole, photos, scheme)
    return whole


def different(one: PASSD, other: PASSD) -> set[str]:
    """Names of the tensors that differ."""
    others = other.state_dict()
    return {
        name for name, value in one.state_dict().items() if not torch.equal(value, others[name])
    }


@pytest.mark.parametrize(("asked", "said"), [(10, False), (4000, True)])
def test_fewer_photos_than_asked_for_is_said_on_one_line(
    asked: int, said: bool, model: PASSD, train: DataSet, photos: list[Path]
) -> None:
    screen = io.StringIO()
    found = calibrated(model, train, Scheme(photos=asked), Console(file=screen, width=40))
    lines = [line for line in screen.getvalue().splitlines() if "photos" in line]
    assert ["10" in line and "4000" in line for line in lines] == [True] * said
    assert different(found, calibrated_on(photos, model, Scheme())) == set()


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_same_photos_give_the_same_ranges(
    calibration: Calibration, model: PASSD, photos: list[Path]
) -> None:
    scheme = Scheme(calibration)
    first, second = (calibrated_on(photos[:2], model, scheme) for _ in range(2))
    assert different(first, second) == set()
    other = different(first, calibrated_on(photos[2:4], model, scheme))
    assert any(name.endswith(".output.scale") for name in other)


def test_minmax_covers_what_the_photos_cause(model: PASSD, photos: list[Path]) -> None:
    whole = calibrated_on(photos[:3], model, Scheme("minmax", bias_correction=False))
    seen: dict[str, list[float]] = {name: [0.0] for name in grids(whole)}

    class Ends:
        def __init__(self, name: str) -> None:
            self.name = name

        def see(self, x: Tensor) -> None:
            seen[self.name] += [float(x.min()), float(x.max())]

    for name, grid in grids(whole).items():
        grid.recorder = Ends(name)
    with torch.inference_mode():
        for path in photos[:3]:  # one by one: the batches of a calibration do not matter
            whole(torch.from_numpy(to_input(read_photo(path), tiny.SIZE, "stretch")[0]))
    for name, grid in grids(whole).items():
        width = max(seen[name]) - min(seen[name])
        assert width > 0.01, name
        assert float(grid.scale) == pytest.approx(width / 255, rel=1e-4), name
        assert grid.bounds == pytest.approx((min(seen[name]), max(seen[name])), abs=width / 500)
    assert min(seen["backbone.stem.output"]) == 0  # what a grid sees is rectified


def test_the_mse_ranges_lie_within_those_of_minmax(model: PASSD, photos: list[Path]) -> None:
    wide, narrow = (
        grids(calibrated_on(photos[:3], model, Scheme(calibration, bias_correction=False)))
        for calibration in ("minmax", "mse")
    )
    ratios = [float(narrow[name].scale / wide[name].scale) for name in wide]
    assert max(ratios) <= 1
    assert min(ratios) < 0.9
    assert min(ratios) > 0.19


def values_of(kind: str, seed: int = 0) -> np.ndarray:
    """(4000,) float32."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(4000)
    values = {
        "normal": normal,
        "heavy-tailed": rng.standard_t(3, 4000),
        "rectified": np.maximum(normal, 0),
        "only negative": -np.abs(normal) * 7 - 1,
        "uniform": rng.uniform(-1, 3, 4000),
        "one outlier": np.append(normal[1:], 400),
    }
    return values[kind].astype(np.float32)


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    """Mean squared error of the u8 grid with this range, in float64."""
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    rounded = (np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale
    return float(((rounded - values) ** 2).mean())


def chosen_range(values: np.ndarray) -> tuple[float, float]:
    x = torch.from_numpy(values)
    extremes = Extremes()
    extremes.see(x)
    histogram = Histogram(extremes.low, extremes.high)
    for part in x.split(1500):
        histogram.see(part)
    return histogram.least_error_range()


@pytest.mark.parametrize(
    "kind", ["normal", "heavy-tailed", "rectified", "only negative", "uniform", "one outlier"]
)
def test_the_mse_range_is_the_best_of_those_tried(kind: str) -> None:
    values = values_of(kind)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    shares = np.linspace(module.SMALLEST, 1, module.CANDIDATES)
    ranges = {(float(low * a), float(high * b)) for a in shares for b in shares}
    best = min(rounding_error(values, *each) for each in ranges)
    assert rounding_error(values, *chosen_range(values)) <= 1.05 * best


@given(arrays.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e4, 1e4, width=32)))
def test_the_mse_range_lies_within_the_extremes(values: np.ndarray) -> None:
    low, high = chosen_range(values)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)
    # A fifth of a side is the least that is tried.
    assert high >= 0.19 * values.max()
    assert low <= 0.19 * values.min()


def test_clipping_a_rare_value_pays() -> None:
    values = np.random.default_rng(0).standard_normal(400_000).astype(np.float32)
    values[7] = 40
    clipped = rounding_error(values, *chosen_range(values))
    assert clipped < 0.7 * rounding_error(values, values.min(), values.max())


def test_a_tensor_that_was_always_zero_has_an_empty_range() -> None:
    assert chosen_range(np.zeros(2000, np.float32)) == (0.0, 0.0)


@pytest.mark.parametrize("kind", ["pointwise", "depthwise"])
def test_a_corrected_bias_keeps_the_mean_output(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    groups, kernel = (8, 3) if kind == "depthwise" else (1, 1)
    plain = nn.Conv2d(8, 8, kernel, groups=groups)
    weight = torch.randn(plain.weight.shape, generator=generator)
    conv = QuantConv(plain, weight, torch.ones(8), WeightGrid(WEIGHTS[7]), nn.Identity())
    x = torch.rand(16, 8, 1, 1, generator=generator).expand(-1, -1, 5, 5)
    wanted = nn.functional.conv2d(x, weight, torch.ones(8), groups=groups).mean((0, 2, 3))
    assert (conv(x).mean((0, 2, 3)) - wanted).abs().max() > 1e-3
    with torch.no_grad():
        correct_bias(conv, x.mean((0, 2, 3)))
    torch.testing.assert_close(conv(x).mean((0, 2, 3)), wanted, rtol=0, atol=1e-5)


def test_bias_correction_moves_biases_only(model: PASSD, photos: list[Path]) -> None:
    corrected = calibrated_on(photos[:2], model, Scheme())
    plain = calibrated_on(photos[:2], model, Scheme(bias_correction=False))
    moved = different(corrected, plain)
    assert moved == {n for n in plain.state_dict() if n.endswith(".bias") and n != "attend.bias"}


def test_weights_that_are_not_numbers_are_named(model: PASSD, photos: list[Path]) -> None:
    broken = quantise(model, Scheme())
    with torch.no_grad():
        conv = broken.get_submodule("backbone.blocks.1.depthwise")
        assert isinstance(conv, QuantConv)
        conv.weight[3, 0, 1, 1] = torch.nan
    with pytest.raises(BadInput, match=r"backbone\.blocks\.1\.depthwise.* not finite; train again"):
        calibrate(broken, photos[:1], Scheme())


@pytest.mark.parametrize("content", [b"", b"no photo"])
def test_an_unreadable_photo_is_named_and_no_range_set(
    content: bytes, model: PASSD, photos: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(content)
    whole = quantise(model, Scheme())
    with pytest.raises(BadInput, match=r"bad\.png"):
        calibrate(whole, [photos[0], bad], Scheme())
    assert all(grid.scale.isnan() for grid in grids(whole).values())
    assert all(grid.recorder is None for grid in grids(whole).values())


def test_progress_counts_every_look_at_every_photo(model: PASSD, photos: list[Path]) -> None:
    counts: list[tuple[int, int]] = []
    scheme = Scheme("mse")
    calibrate(quantise(model, scheme), photos[:9], scheme, lambda *count: counts.append(count))
    assert counts == [(8, 18), (9, 18), (17, 18), (18, 18)]
