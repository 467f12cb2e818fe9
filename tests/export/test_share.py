"""The integer share of float, mixed and int8 files against multiply-adds counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant.engine import model_info
from quant.export.formats import ONNX
from quant.export.share import Convolution, IntegerShare, integer_share
from quant.int8.calibrate import calibrate
from quant.int8.convert import quantise
from quant.int8.scheme import Scheme
from quant.model import ModelConfig
from quant.model.backbone import BLOCKS
from quant.training.trainer import random_model
from tests.export.conftest import INT8_SIZE, SIZE

ENGINES = ("onnxruntime", "openvino")
KEPT = ("backbone.blocks.12", "pyramid.smoothing.0", "attend")
CLASSES = 2


def multiply_adds(size: int) -> dict[str, int]:
    """Of each layer that the exported graph needs, from the table of the network.

    size: of the input, pixels.
    """
    side = size // 2
    macs = {"backbone.stem": side**2 * 32 * 3 * 9}
    channels = 32
    for number, (outputs, stride) in enumerate((*BLOCKS, (512, 2))):
        side //= stride
        name = f"backbone.blocks.{number}" if number < len(BLOCKS) else "pyramid.extra.0"
        macs[f"{name}.depthwise"] = side**2 * channels * 9
        macs[f"{name}.pointwise"] = side**2 * channels * outputs
        channels = outputs
    levels = [(size // stride) ** 2 for stride in (8, 16, 32, 64)]
    for level, (cells, inputs) in enumerate(zip(levels, (256, 512, 1024, 512), strict=True)):
        macs[f"pyramid.laterals.{level}"] = cells * inputs * 256
        if level < 3:
            macs[f"pyramid.smoothing.{level}"] = cells * 256 * 256 * 9
    macs["propose.offsets"] = sum(levels) * 256 * 9 * 3 * 4
    macs["attend.projection"] = sum(levels) * 256 * 3 * 9 * (CLASSES + 1 + 4)
    return macs


@pytest.fixture(scope="module")
def mixed_file(photo_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in int8 but for `KEPT`."""
    model = random_model(ModelConfig(("cat", "person"), INT8_SIZE), seed=0)
    model = quantise(model, Scheme(keep_float=KEPT))
    calibrate(model, sorted((photo_set / "images").iterdir()), Scheme())
    path = tmp_path_factory.mktemp("share") / "mixed.onnx"
    path.write_bytes(ONNX.write(model, model_info(model, {})))
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_a_float_file_has_none(engine: str, float_file: Path) -> None:
    share = integer_share(float_file, engine, SIZE)
    assert (share.convolutions, share.integer_convolutions, share.integer_macs) == (44, 0, 0)
    # In float onnxruntime fills up odd numbers of channels to its vectors.
    assert share.macs == pytest.approx(sum(multiply_adds(SIZE).values()), rel=0.01)
    assert "0 of 44 convolutions and 0.0% of their 0.44 G" in str(share)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_mixed_file_has_what_is_not_kept(engine: str, mixed_file: Path) -> None:
    share = integer_share(mixed_file, engine, INT8_SIZE)
    macs = multiply_adds(INT8_SIZE)
    in_float = {name: n for name, n in macs.items() if Scheme(keep_float=KEPT).keeps_float(name)}
    assert len(in_float) == 4
    executed_in_float = 2 + 1 + 4  # the projection at each of four levels
    assert (share.convolutions, share.integer_convolutions) == (44, 44 - executed_in_float)
    assert share.integer_macs == sum(macs.values()) - sum(in_float.values())
    assert share.macs == pytest.approx(sum(macs.values()), rel=0.01)
    assert 0.5 * share.macs < share.integer_macs < 0.9 * share.macs


def test_shares_add_up() -> None:
    parts = [Convolution(300, True), Convolution(100, False), Convolution(600, True)]
    share = IntegerShare.of("some", parts)
    assert share.to_dict() == {
        "engine": "some",
        "convolutions": 3,
        "integer_convolutions": 2,
        "macs": 1000,
        "integer_macs": 900,
    }
    assert str(share).startswith("some: 2 of 3 convolutions and 90.0% of their 0.00 G")
    assert "0 of 0 convolutions and 0.0%" in str(IntegerShare.of("none", []))
