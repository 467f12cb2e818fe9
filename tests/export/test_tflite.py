"""Conversion to TFLite: integers as they were calibrated, files that pass the gate."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from edge_passd.cli.main import main
from edge_passd.engines.table import load_engine
from edge_passd.model_info import ModelInfo
from edge_passd.tflite_file import pack, read
from quant.engine import model_info
from quant.export.export import ExportOptions, export
from quant.export.share import integer_share
from quant.int8.calibrate import calibrate
from quant.int8.convert import RELU6, quantise
from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import ImageGrid, QuantConv, QuantMerge
from quant.int8.scheme import WEIGHTS, Scheme
from quant.model import ModelConfig
from quant.model.backbone import Merge
from quant.model.passd import Normalise
from quant.run_folder import load_run
from tests.export.conftest import SIZE, make_run

pytest.importorskip("litert_torch")
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from quant.export import tflite
from quant.export.tflite import convert, to_tflite
from quant.export.tflite_qdq import with_int8_ops

SIDE = 32


def layer(
    inputs: int, outputs: int, kernel: int, relu6: bool = False, int8: bool = True, **options: int
) -> QuantConv:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)
    grid = WeightGrid(WEIGHTS[7]) if int8 else nn.Identity()
    return QuantConv(conv, conv.weight, conv.bias, grid, ActivationGrid(*[RELU6] * relu6))


class Net(nn.Module):
    """Every kind of layer that a quantised PASSD has, calibrated on a photo."""

    def __init__(self, photo: Tensor, int8_depthwise: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = ImageGrid(Normalise(ModelConfig(("cat",))))
        self.stem = layer(3, 8, 3, relu6=True, stride=2)
        self.depthwise = layer(8, 8, 3, relu6=True, int8=int8_depthwise, stride=2, groups=8)
        self.pointwise = layer(8, 16, 1, relu6=True)
        self.fine, self.coarse = layer(8, 16, 1), layer(16, 16, 1)
        self.merge = QuantMerge(Merge(), ActivationGrid())
        self.head = layer(16, 6, 3)
        self.eval().requires_grad_(False)
        for grid in self.grids():
            grid.recorder = seen = Seen()
            self(photo)
            grid.recorder = None
            grid.set_range(seen.low, seen.high)

    def grids(self) -> Iterator[ActivationGrid]:
        return (module for module in self.modules() if isinstance(module, ActivationGrid))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        stem = self.stem(self.image(image))
        coarse = self.coarse(self.pointwise(self.depthwise(stem)))
        merged = self.merge(self.fine(stem), coarse)
        # The head is shared by two levels; only its outputs leave the integers.
        return {"fine": torch.tanh(self.head(merged)), "coarse": torch.tanh(self.head(coarse))}


class Seen:
    low = high = 0.0

    def see(self, x: Tensor) -> None:
        self.low, self.high = float(x.nan_to_num().min()), float(x.nan_to_num().max())


class TfliteTensor(NamedTuple):
    integer: bool
    values: np.ndarray | None
    scale: np.ndarray
    zero_point: np.ndarray


def operations(content: bytes, *kinds: str) -> list[tuple[list[TfliteTensor], TfliteTensor]]:
    """Inputs and output of each operation of these kinds, in order."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]

    def described(index: int) -> TfliteTensor:
        tensor = graph.tensors[index]
        data, grid = model.buffers[tensor.buffer].data, tensor.quantization
        dtype = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}.get(
            tensor.type
        )
        values = None if data is None or dtype is None else data.view(dtype).reshape(tensor.shape)
        scale, zero = (None, None) if grid is None else (grid.scale, grid.zeroPoint)
        return TfliteTensor(dtype is not None, values, np.array(scale), np.array(zero))

    wanted = {getattr(schema.BuiltinOperator, kind) for kind in kinds}
    return [
        ([described(i) for i in operator.inputs], described(operator.outputs[0]))
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode in wanted
    ]


@pytest.fixture(scope="module")
def cat_tensor(photo: np.ndarray) -> Tensor:
    return as_tensor(photo, SIDE)


def as_tensor(photo: np.ndarray, side: int) -> Tensor:
    pixels = cv2.resize(photo, (side, side)).astype(np.float32)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None])


@pytest.fixture(scope="module")
def net(cat_tensor: Tensor) -> Net:
    return Net(cat_tensor)


@pytest.fixture(scope="module")
def converted(net: Net, cat_tensor: Tensor) -> bytes:
    return convert(with_int8_ops(net), {"image": torch.zeros_like(cat_tensor)})


def run(content: bytes, image: Tensor) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    return interpreter.get_signature_runner()(image=image.numpy())


def test_scales_and_integers_are_carried_over(net: Net, converted: bytes) -> None:
    found = operations(converted, "CONV_2D", "DEPTHWISE_CONV_2D")
    expected = [net.stem, net.depthwise, net.pointwise, net.fine, net.coarse, net.head, net.head]
    unmatched = list(expected)
    for (x, weight, bias), output in found:
        assert x.integer
        assert output.integer
        [conv] = {each for each in expected if each.output.scale == output.scale[0]}
        unmatched.remove(conv)
        grid = conv.output
        assert output.zero_point[0] == int(grid.zero_point) - 128
        integers = conv.weight_grid.integers(conv.weight).permute(0, 2, 3, 1).numpy()
        if conv.groups > 1:
            integers = integers.transpose(3, 1, 2, 0)
        np.testing.assert_array_equal(weight.values, integers)
        scale = conv.weight_grid.scale(conv.weight).flatten().numpy()
        np.testing.assert_array_equal(weight.scale, scale)
        steps = conv.bias.numpy() / (x.scale.astype(np.float64) * scale)
        np.testing.assert_allclose(bias.values, steps, atol=0.5 + 1e-3)
    assert not unmatched


def test_the_pyramid_sum_and_its_upsampling_stay_integers(net: Net, converted: bytes) -> None:
    [((fine, coarse), output)] = operations(converted, "ADD")
    [((small, _), doubled)] = operations(converted, "RESIZE_NEAREST_NEIGHBOR")
    assert small.integer
    for tensor, grid in (
        (fine, net.fine.output),
        (coarse, net.coarse.output),
        (doubled, net.coarse.output),
        (output, net.merge.output),
    ):
        assert tensor.scale[0] == grid.scale
        assert tensor.zero_point[0] == int(grid.zero_point) - 128


def test_it_computes_what_the_quantised_model_computes(
    net: Net, converted: bytes, cat_tensor: Tensor
) -> None:
    expected, found = net(cat_tensor), run(converted, cat_tensor)
    scale = float(net.head.output.scale)
    for name in ("fine", "coarse"):
        wanted, got = (np.arctanh(x) / scale for x in (expected[name].numpy(), found[name]))
        steps = np.abs(got - wanted)
        assert wanted.std() > 10
        assert steps.max() <= 2.1  # a layer that rounds a tie the other way, twice in a row
        assert (steps > 0.5).mean() < 0.05


def test_the_copy_with_operations_computes_the_same_in_torch(net: Net, cat_tensor: Tensor) -> None:
    expected, found = net(cat_tensor), with_int8_ops(net)(cat_tensor)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_a_layer_kept_float_stays_float(cat_tensor: Tensor) -> None:
    net = Net(cat_tensor, int8_depthwise=False)
    content = convert(with_int8_ops(net), {"image": torch.zeros_like(cat_tensor)})
    [((x, weight, *_), output)] = operations(content, "DEPTHWISE_CONV_2D")
    assert not any(tensor.integer for tensor in (x, weight, output))
    assert all(inputs[0].integer for inputs, _ in operations(content, "CONV_2D"))
    expected, found = net(cat_tensor), run(content, cat_tensor)
    assert np.abs(found["fine"] - expected["fine"].numpy()).mean() < 0.01


def test_the_same_model_gives_the_same_bytes(
    net: Net, converted: bytes, cat_tensor: Tensor
) -> None:
    assert convert(with_int8_ops(net), {"image": torch.zeros_like(cat_tensor)}) == converted


def test_a_whole_model_computes_on_integers(
    small_run: Path, small_tflite: Path, photo_set: Path, tmp_path: Path
) -> None:
    model, _ = load_run(small_run)
    model = quantise(model, Scheme())
    photos = sorted((photo_set / "images").iterdir())
    calibrate(model, photos, Scheme())
    path = tmp_path / "int8.tflite"
    path.write_bytes(to_tflite(model, model_info(model, {}, precision="int8")))
    share = integer_share(path, "tflite", SIZE)
    float_share = integer_share(small_tflite, "tflite", SIZE)
    assert share.integer_macs == share.macs == float_share.macs > 1e8
    assert share.integer_convolutions == share.convolutions == float_share.convolutions
    assert float_share.integer_macs == 0
    assert path.stat().st_size < 0.3 * small_tflite.stat().st_size
    boxes, scores = load_engine(path, threads=1).run(as_tensor_of(photos[0]))
    assert np.isfinite(boxes).all()
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-5)
    assert scores.std() > 0.01


def as_tensor_of(photo: Path) -> np.ndarray:
    return as_tensor(cv2.imread(str(photo)), SIZE).numpy()


@pytest.fixture
def quick_conversion(small_tflite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of the small model take the file that is there already."""

    def packed(model: Any, info: ModelInfo) -> bytes:
        return pack(read(small_tflite)[0], info.to_json())

    monkeypatch.setattr(tflite, "to_tflite", packed)


@pytest.mark.usefixtures("quick_conversion")
def test_export_checks_a_tflite_file_and_records_it(
    run_folder: Path, small_tflite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    export(ExportOptions(run_folder, path), Console(file=io.StringIO()))
    model, information = read(path)
    assert model == read(small_tflite)[0]
    [record] = ModelInfo.from_json(information, "").training["parity"]
    assert record["engine"] == "tflite"
    assert record["photos"] == 3
    assert record["boxes"] <= 0.01
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("quick_conversion")
def test_a_tflite_file_of_another_model_fails_the_gate(
    photo_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_run(tmp_path / "other", photo_set, seed=1)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(other), "-o", str(tmp_path / "model.tflite")])
    assert ended.value.code == 2
    assert "parity gate: tflite: output 'boxes' differs" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"other", "model.failed.tflite"}


def test_without_the_converter_the_extra_is_named(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "quant.export.tflite")
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run_folder), "-o", str(tmp_path / "model.tflite")])
    assert ended.value.code == 2
    complaint = capsys.readouterr().err
    assert 'this needs litert_torch: pip install "edge-passd[tflite-export]"' in complaint
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
