"""From a float model to a quantised one: which tensors are rounded, and that nothing else moves."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge_passd.errors import BadInput
from quant.int8.calibrate import calibrate
from quant.int8.convert import IMAGE, consumers, layer_names, quantise
from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import ImageGrid, QuantConv
from quant.int8.scheme import Scheme
from quant.model import PASSD, ModelConfig
from quant.model.backbone import BLOCKS, Merge
from quant.model.config import HEADS
from quant.model.passd import Normalise
from quant.training.trainer import random_model
from tests.export.conftest import livelier
from tests.training import tiny

HEAD_LAYERS = {"propose.objectness", "propose.offsets", "attend.projection"}
# The only other normalisation that a backbone of ours comes with.
IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


def expected_consumers() -> dict[str, set[str]]:
    """Of a model with four levels, as drawn in the paper's figure 3."""
    takers: dict[str, set[str]] = {IMAGE: {"backbone.stem"}}
    before = "backbone.stem"
    for block in [f"backbone.blocks.{i}" for i in range(len(BLOCKS))] + ["pyramid.extra.0"]:
        takers[before] = {f"{block}.depthwise"}
        takers[f"{block}.depthwise"] = {f"{block}.pointwise"}
        before = f"{block}.pointwise"
    taps = ("backbone.blocks.4", "backbone.blocks.10", "backbone.blocks.12", "pyramid.extra.0")
    for level, tap in enumerate(taps):
        takers.setdefault(f"{tap}.pointwise", set()).add(f"pyramid.laterals.{level}")
    for level in range(3):
        takers[f"pyramid.laterals.{level}"] = {f"pyramid.merges.{level}"}
        takers[f"pyramid.merges.{level}"] = {f"pyramid.smoothing.{level}"}
        takers[f"pyramid.smoothing.{level}"] = HEAD_LAYERS
    takers["pyramid.merges.2"] |= {"pyramid.merges.1"}
    takers["pyramid.merges.1"] |= {"pyramid.merges.0"}
    takers["pyramid.laterals.3"] = {"pyramid.merges.2"} | HEAD_LAYERS
    return takers | {layer: set() for layer in HEAD_LAYERS}


def kept(model: PASSD, *names: str) -> PASSD:
    return quantise(model, Scheme(keep_float=names))


def modules(model: PASSD, kind: type[nn.Module]) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, kind)]


def on_grid(model: PASSD) -> set[str]:
    """Layers whose output is rounded."""
    return {name.removesuffix(".output") for name in modules(model, ActivationGrid)}


def on_integers(model: PASSD) -> set[str]:
    """Convolutions whose weights are rounded."""
    return {name.removesuffix(".weight_grid") for name in modules(model, WeightGrid)}


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """(2, 3, 64, 64) whole numbers 0-255."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (2, 3, tiny.SIZE, tiny.SIZE), generator=generator).float()


def test_who_takes_whose_output(model: PASSD) -> None:
    assert consumers(model) == expected_consumers()


def test_every_layer_is_quantised_by_default(model: PASSD, quantised: PASSD) -> None:
    convolutions = set(layer_names(model)) - set(modules(model, Merge))
    assert len(convolutions) == 27 + 2 + 4 + 3 + 3  # backbone, extra, laterals, smoothing, heads
    assert on_integers(quantised) == convolutions
    assert on_grid(quantised) == set(layer_names(model))
    assert isinstance(quantised.normalise, ImageGrid)
    assert not quantised.training


def test_the_float_model_stays_as_it_is(model: PASSD) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    quantise(model, Scheme())
    assert model.scheme is None
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@torch.no_grad()
def test_a_model_kept_float_computes_the_same(model: PASSD, pixels: Tensor) -> None:
    part = kept(model, "backbone", "pyramid", "propose", "attend")
    assert not on_integers(part)
    assert not on_grid(part)
    # The offsets are in other units inside, and back in pixels outside.
    assert not torch.equal(part.attend_scale, model.attend_scale)
    for mine, wanted in zip(part(pixels), model(pixels), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_quantised_model_computes_nearly_the_same(
    model: PASSD, quantised: PASSD, photos: list[Path], pixels: Tensor
) -> None:
    wanted, found = model(pixels), quantised(pixels)
    for mine, theirs in zip(found, wanted, strict=True):
        error = (mine - theirs).square().mean() / theirs.var()
        assert 0 < error < 0.05
    assert (found.adjusted - wanted.adjusted).abs().mean() < 1


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_reach_every_weight(
    precision: torch.dtype, quantised: PASSD, pixels: Tensor
) -> None:
    learner = copy.deepcopy(quantised)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        prediction = learner(pixels)
    torch.cat([each.flatten() for each in prediction if each is not None]).square().sum().backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(
    ("names", "in_float", "not_rounded"),
    [
        (("backbone.blocks.0.pointwise",), {"backbone.blocks.0.pointwise"}, set()),
        # Nobody computes on integers with what the heads put out.
        (("attend",), {"attend.projection"}, {"attend.projection"}),
        (("propose",), HEAD_LAYERS - {"attend.projection"}, HEAD_LAYERS - {"attend.projection"}),
        # Its pointwise layer's output goes to the next block; its depthwise layer's stays inside.
        (
            ("backbone.blocks.3",),
            {"backbone.blocks.3.depthwise", "backbone.blocks.3.pointwise"},
            {"backbone.blocks.3.depthwise"},
        ),
        # A tensor that one float and one integer layer take is rounded: lateral 2 takes the tap.
        (
            ("pyramid.extra",),
            {"pyramid.extra.0.depthwise", "pyramid.extra.0.pointwise"},
            {"pyramid.extra.0.depthwise"},
        ),
        # A sum is rounded only if an integer layer takes it, and so are its parts.
        (
            ("pyramid.merges", "pyramid.smoothing.0", "pyramid.laterals.0"),
            {"pyramid.smoothing.0", "pyramid.laterals.0"},
            {"pyramid.merges.0", "pyramid.laterals.0"},
        ),
    ],
)
def test_what_keep_float_keeps(
    names: tuple[str, ...], in_float: set[str], not_rounded: set[str], model: PASSD
) -> None:
    part, every = kept(model, *names), set(layer_names(model))
    convolutions = every - {name for name in every if ".merges." in name}
    assert convolutions - on_integers(part) == in_float
    assert every - on_grid(part) == not_rounded
    for name in in_float:
        layer = part.get_submodule(name)
        assert isinstance(layer, QuantConv)
        assert not layer.is_int8


def test_an_image_that_no_integer_layer_takes_stays_float(model: PASSD) -> None:
    part = kept(model, "backbone.stem")
    assert isinstance(part.normalise, Normalise)
    assert "backbone.stem" in on_grid(part)  # the next layer takes its output on integers


@pytest.mark.parametrize("name", ["backbone.wings", "stem", "backbone.blocks.", "", "backbone.b"])
def test_a_name_that_is_no_layer(name: str, model: PASSD) -> None:
    with pytest.raises(BadInput, match=r"no layer '.*'; there are backbone\.stem, ") as caught:
        kept(model, "backbone", name)
    assert repr(name) in str(caught.value)
    assert "attend.projection" in str(caught.value)


def test_models_that_cannot_be_quantised(quantised: PASSD) -> None:
    with pytest.raises(BadInput, match="quantised already; start from the float run"):
        quantise(quantised, Scheme())
    plain = random_model(ModelConfig(tiny.CLASSES, tiny.SIZE, **HEADS["plain"]), seed=0)
    with pytest.raises(BadInput, match=r"plain head .* train propose-attend"):
        quantise(plain, Scheme())


def test_a_deformable_head_is_quantised_too(photos: list[Path]) -> None:
    config = ModelConfig(tiny.CLASSES, tiny.SIZE, **HEADS["propose-deformable"])
    whole = quantise(random_model(config, seed=0), Scheme(photos=1))
    assert "attend.tap_offsets" in on_integers(whole)
    calibrate(whole, photos[:1], Scheme(photos=1))
    with torch.no_grad():
        assert whole(torch.zeros(1, 3, 64, 64)).logits.isfinite().all()


def test_all_levels_share_one_head(quantised: PASSD, pixels: Tensor) -> None:
    heads = [quantised.get_submodule(name) for name in sorted(HEAD_LAYERS)]
    calls: list[nn.Module] = []
    handles = [head.register_forward_hook(lambda m, _, __: calls.append(m)) for head in heads]
    with torch.no_grad():
        quantised(pixels)
    for handle in handles:
        handle.remove()
    assert [calls.count(head) for head in heads] == [4, 4, 4]


def test_five_levels() -> None:
    whole = quantise(random_model(ModelConfig(("cat",), 768), seed=0), Scheme())
    assert len(on_integers(whole)) == 27 + 4 + 5 + 4 + 3
    assert {"pyramid.extra.1.pointwise", "pyramid.merges.3"} <= on_grid(whole)


def test_every_pixel_value_is_on_the_grid_of_the_image() -> None:
    for changes in ({}, IMAGENET):
        grid = ImageGrid(Normalise(ModelConfig(("cat",), tiny.SIZE, **changes)))
        pixels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
        values = grid(pixels)
        back = values.double() / grid.scale + grid.zero_point
        torch.testing.assert_close(back, pixels.double(), rtol=0, atol=1e-4)
        assert values[..., grid.zero_point].abs().max() == 0
        assert 0 <= grid.zero_point <= 255
        wild = torch.tensor([-7.0, 0.4, 254.6, 300.0]).expand(1, 3, 1, 4)
        assert torch.equal(grid(wild), grid(torch.tensor([0, 0, 255, 255]).expand(1, 3, 1, 4)))


@pytest.mark.parametrize(
    "changes", [{}, IMAGENET, {"mean": (0.0, 128.0, 255.0), "std": (1.0, 10.0, 100.0)}]
)
@torch.no_grad()
def test_the_normalisation_moves_into_the_stem(changes: dict[str, Any], pixels: Tensor) -> None:
    model = livelier(random_model(ModelConfig(("cat",), tiny.SIZE, **changes), seed=0)).eval()
    whole = quantise(model, Scheme())
    stem, image = whole.get_submodule("backbone.stem"), whole.normalise
    assert isinstance(stem, QuantConv)
    assert isinstance(image, ImageGrid)
    stem.weight_grid, stem.output = nn.Identity(), nn.ReLU6()  # what is left is the move
    found, expected = stem(image(pixels)), model.backbone.stem(model.normalise(pixels))
    assert expected.std() > 0.1
    inside = (..., slice(1, None), slice(1, None))  # with stride 2 only the first of each is padded
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-3, atol=1e-3)
    # At the border the float model sees the mean of each channel, this one the zero point of all.
    framed = model.normalise(F.pad(pixels, (1, 1, 1, 1), value=image.zero_point))
    expected = F.relu6(F.conv2d(framed, *model.backbone.stem.folded(), stride=2))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
