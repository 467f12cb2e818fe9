"""x86 without VNNI, emulated: against pairs of products added in 16 bits one by one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor

from quant.int8.calibrate import calibrate
from quant.int8.convert import quantise
from quant.int8.grid import WeightGrid
from quant.int8.layers import QuantConv
from quant.int8.run import calibrate_only, check_run
from quant.int8.saturation import (
    PHOTOS,
    Pairs,
    WithoutVnni,
    compare_without_vnni,
    without_vnni,
)
from quant.int8.scheme import Scheme
from quant.model import PASSD
from quant.run_folder import load_run

DEPTHWISE = 14  # thirteen blocks and one extra level
LAYERS = [
    "backbone.stem",  # three channels: pairs reach from one tap into the next; stride 2
    "backbone.blocks.0.pointwise",
    "pyramid.smoothing.0",
    "attend.projection",
]


def with_heavy_weights(model: PASSD) -> PASSD:
    """The first eight inputs of every convolution weigh the most that there is."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, QuantConv) and module.groups == 1:
                most = module.weight.abs().amax((1, 2, 3), keepdim=True)
                module.weight[:, :8] = most.expand_as(module.weight[:, :8]).clone()
    return model


def quantised_on(model: PASSD, photos: list[Path], bits: int) -> PASSD:
    scheme = Scheme(photos=2, weight_bits=bits)
    whole = quantise(model, scheme)
    calibrate(whole, photos[:2], scheme)
    return whole


@pytest.fixture(scope="module")
def full_range(model: PASSD, photos: list[Path]) -> PASSD:
    """In 8 bits, with sums that saturate."""
    return with_heavy_weights(quantised_on(model, photos, 8))


def added_in_pairs(x: np.ndarray, weights: np.ndarray, conv: QuantConv, zero: int) -> np.ndarray:
    """int64 (O, H, W) sums of u8 (I, H, W) by s8 (O, I, k, k), as vpmaddubsw adds them."""
    stride, border = conv.stride[0], conv.padding[0]
    kernel = weights.shape[2]
    x = np.pad(x, ((0, 0), (border, border), (border, border)), constant_values=zero)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(1, 2, 3, 4, 0)  # H W kh kw I
    flat = windows.reshape(*windows.shape[:2], -1).astype(np.int64)
    along_k = weights.transpose(0, 2, 3, 1).reshape(len(weights), -1).astype(np.int64)
    total = np.zeros((len(weights), *flat.shape[:2]), np.int64)
    for k in range(0, flat.shape[2], 2):
        pair = np.einsum("hwp,op->ohw", flat[..., k : k + 2], along_k[:, k : k + 2])
        total += np.clip(pair, -(2**15), 2**15 - 1)
    return total - zero * along_k.sum(1)[:, None, None]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_loses_what_16_bits_do_not_hold(name: str, full_range: PASSD) -> None:
    conv = full_range.get_submodule(name)
    assert isinstance(conv, QuantConv)
    assert isinstance(conv.weight_grid, WeightGrid)
    emulated, layers = without_vnni(full_range)
    assert name in layers
    layer = emulated.get_submodule(name)
    layer.conv.output = torch.nn.Identity()
    zero, step = 7, 0.25
    rng = np.random.default_rng(0)
    integers = rng.integers(0, 256, (conv.weight.shape[1], 6, 8))
    x = (torch.from_numpy(integers).float() - zero)[None] * step
    x.grid = step, zero  # type: ignore[attr-defined]
    weights = conv.weight_grid.integers(conv.weight).numpy()
    scale = conv.weight_grid.scale(conv.weight).view(-1, 1, 1).numpy() * step
    bias = 0 if conv.bias is None else conv.bias.detach().numpy()[:, None, None]
    wanted = added_in_pairs(integers, weights, conv, zero) * scale + bias
    exact = conv.sums(x)[0].detach().numpy()
    found = layer(x)[0].detach().numpy()
    assert np.abs(exact - wanted).max() > 100 * scale.min()  # it matters
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@given(st.integers(1, 7), st.integers(0, 99), st.sampled_from([1, 3]))
def test_every_pair_that_may_saturate_is_found(channels: int, seed: int, kernel: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (3, channels, kernel, kernel)).astype(np.int8)
    along_k = weights.transpose(0, 2, 3, 1).reshape(3, -1).astype(int)
    wanted = []
    for output, row in enumerate(along_k):
        for pair in (row[k : k + 2] for k in range(0, row.size, 2)):
            sums = [255 * pair.clip(0).sum(), 255 * pair.clip(max=0).sum()]
            if sums[0] > 2**15 - 1 or sums[1] < -(2**15):
                wanted.append((output, *pair))
    found = Pairs.of(torch.from_numpy(weights))
    rows: Tensor = found.weights.int()
    assert [(int(o), *map(int, w)) for o, w in zip(found.outputs, rows, strict=True)] == wanted


def test_weights_of_7_bits_never_saturate(model: PASSD, photos: list[Path]) -> None:
    narrow = with_heavy_weights(quantised_on(model, photos, 7))
    assert without_vnni(narrow)[1] == []
    assert compare_without_vnni(narrow, photos) == WithoutVnni(safe=True)


def test_depthwise_convolutions_stay_exact(full_range: PASSD) -> None:
    names = [n for n, m in full_range.named_modules() if isinstance(m, QuantConv) and m.groups > 1]
    assert len(names) == DEPTHWISE
    assert not set(names) & set(without_vnni(full_range)[1])


def test_the_model_itself_stays_as_it_is(full_range: PASSD, photos: list[Path]) -> None:
    before = {name: tensor.clone() for name, tensor in full_range.state_dict().items()}
    compare_without_vnni(full_range, photos[:1])
    after = full_range.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert without_vnni(full_range)[1]


def test_some_photos_do(full_range: PASSD, photos: list[Path]) -> None:
    steps: list[None] = []
    many = (photos * 5)[: 2 * PHOTOS + 1]
    found = compare_without_vnni(full_range, many, lambda: steps.append(None))
    assert not found.safe
    assert found.box_error > found.mean_box_error > 0.1
    assert 0 < found.photos == len(steps) <= PHOTOS
    assert f"WRONG in onnxruntime and OpenVINO: boxes within {found.box_error:.2g} px" in str(found)
    assert "make weights of 7 bits" in str(found)


@pytest.mark.parametrize("bits", [7, 8])
def test_a_run_is_checked_and_keeps_the_answer(
    bits: int, float_run: Path, photo_set: Path, tmp_path: Path
) -> None:
    run, screen = tmp_path / "run", io.StringIO()
    scheme = Scheme(photos=4, weight_bits=bits)
    calibrate_only(float_run, run, photo_set, scheme, Console(quiet=True))
    before = load_run(run)[1]
    check_run(run, Console(file=screen))
    model, figures = load_run(run)
    assert model.scheme == scheme
    record = figures.pop("x86")
    assert figures == before
    assert record["photos"] == (3 if bits == 8 else 0)
    if bits == 7:
        assert record["safe"]
        assert "right, no sum of these weights saturates" in screen.getvalue()
    else:
        assert f"on {record['photos']} photos" in screen.getvalue()
        assert record["box_error"] > 0
