"""The QDQ graph of a quantised model: what stands in it, and that it means exact integers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx.utils import Extractor

from quant.int8.grid import WeightGrid
from quant.int8.layers import ImageGrid, QuantConv
from quant.model import PASSD
from quant.run_folder import load_run

LEVELS = 4


@pytest.fixture(scope="module")
def model(int8_run: Path) -> PASSD:
    return load_run(int8_run)[0]


@dataclass
class Graph:
    """A graph with its nodes and constants by the names of what they put out."""

    proto: onnx.ModelProto

    def __post_init__(self) -> None:
        nodes = self.proto.graph.node
        self.makers = {name: node for node in nodes for name in node.output}
        self.constants = {
            tensor.name: onnx.numpy_helper.to_array(tensor)
            for tensor in self.proto.graph.initializer
        }

    def nodes(self, kind: str) -> list[onnx.NodeProto]:
        return [node for node in self.proto.graph.node if node.op_type == kind]

    def takers(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.proto.graph.node if name in node.input]

    def source(self, name: str) -> onnx.NodeProto:
        """The DequantizeLinear that puts out `name`."""
        node = self.makers[name]
        assert node.op_type == "DequantizeLinear"
        return node

    def constant(self, name: str) -> np.ndarray:
        return self.constants[name]


@pytest.fixture(scope="module")
def graph(int8_file: tuple[Path, str]) -> Graph:
    return Graph(onnx.load(int8_file[0]))


def grid_of(layer: QuantConv) -> WeightGrid:
    assert isinstance(layer.weight_grid, WeightGrid)
    return layer.weight_grid


def integers_of(layer: QuantConv) -> np.ndarray:
    return grid_of(layer).integers(layer.weight).numpy()


def layer_of(model: PASSD, integers: np.ndarray) -> QuantConv:
    """The layer that has these weights."""
    (layer,) = (
        m
        for m in model.modules()
        if isinstance(m, QuantConv) and np.array_equal(integers_of(m), integers)
    )
    return layer


def test_it_is_a_valid_graph(graph: Graph) -> None:
    onnx.checker.check_model(graph.proto, full_check=True)
    kinds = Counter(node.op_type for node in graph.proto.graph.node)
    # Backbone, extra, laterals, smoothing; offsets and projection at each level. Nothing that is
    # put out needs the objectness.
    assert kinds["Conv"] == 27 + 2 + 4 + 3 + 2 * LEVELS
    assert kinds["BatchNormalization"] == 0
    assert kinds["Softmax"] == 1


def test_every_convolution_has_int8_weights_for_each_channel(graph: Graph, model: PASSD) -> None:
    for conv in graph.nodes("Conv"):
        node = graph.source(conv.input[1])
        integers, scale, zero = (graph.constant(name) for name in node.input)
        assert {a.name: a.i for a in node.attribute} == {"axis": 0}
        assert integers.dtype == zero.dtype == np.int8
        assert not zero.any()
        assert scale.shape == zero.shape == integers.shape[:1]
        layer = layer_of(model, integers)
        wanted = grid_of(layer).scale(layer.weight).flatten()
        np.testing.assert_array_equal(scale, wanted)


def test_every_convolution_takes_and_makes_u8(graph: Graph) -> None:
    for conv in graph.nodes("Conv"):
        taken = graph.source(conv.input[0])
        assert graph.constant(taken.input[2]).dtype == np.uint8
        (made,) = graph.takers(conv.output[0])
        assert made.op_type == "QuantizeLinear"  # and no ReLU6 between: saturation is the clamp
        assert graph.constant(made.input[2]).dtype == np.uint8
        assert graph.constant(made.input[1]).shape == ()


def test_biases_are_int32_in_steps_of_the_products(graph: Graph, model: PASSD) -> None:
    """Their rounding is far below a step of the output; the dead channel's bias fits, too."""
    largest = 0
    for conv in graph.nodes("Conv"):
        x, weight = (graph.source(name) for name in conv.input[:2])
        layer = layer_of(model, graph.constant(weight.input[0]))
        if layer.bias is None:
            assert len(conv.input) == 2
            continue
        node = graph.source(conv.input[2])
        integers, scale = (graph.constant(name) for name in node.input)
        assert integers.dtype == np.int32
        np.testing.assert_array_equal(
            scale, graph.constant(x.input[1]) * graph.constant(weight.input[1])
        )
        bias = layer.bias.detach().double().numpy()
        np.testing.assert_array_equal(integers, np.rint(bias / scale.astype(np.float64)))
        largest = max(largest, np.abs(integers.astype(np.int64)).max())
    assert 2**20 < largest < 2**31 - 1


def test_only_convolutions_sums_and_the_image_are_rounded(graph: Graph) -> None:
    """So box coordinates, exp, tanh, softmax and sampling positions are float to the end."""
    names = [node.input[0] for node in graph.nodes("QuantizeLinear")]
    makers = Counter(graph.makers[n].op_type if n in graph.makers else n for n in names)
    assert makers == {"image": 1, "Conv": len(graph.nodes("Conv")), "Add": LEVELS - 1}
    sums = [graph.makers[n] for n in names if n in graph.makers]
    for add in (node for node in sums if node.op_type == "Add"):
        assert all(graph.source(name) for name in add.input)  # both sides from integers


def test_the_image_is_rounded_as_the_pixels_it_is(graph: Graph, model: PASSD) -> None:
    (node,) = graph.takers("image")
    assert graph.constant(node.input[1]) == 1
    assert graph.constant(node.input[2]) == 0
    (back,) = graph.takers(node.output[0])
    assert isinstance(model.normalise, ImageGrid)
    assert graph.constant(back.input[1]) == np.float32(model.normalise.scale)
    assert graph.constant(back.input[2]) == model.normalise.zero_point


def test_maps_are_doubled_as_integers(graph: Graph) -> None:
    resizes = graph.nodes("Resize")
    assert len(resizes) == LEVELS - 1
    for node in resizes:
        assert graph.makers[node.input[0]].op_type == "QuantizeLinear"
        (taker,) = graph.takers(node.output[0])
        assert taker.op_type == "DequantizeLinear"


def test_weights_stand_in_it_once(graph: Graph, model: PASSD) -> None:
    """The heads' convolutions share theirs over the levels."""
    weights = sum(m.weight.numel() for m in model.modules() if isinstance(m, QuantConv))
    unused = model.get_submodule("propose.objectness")
    assert isinstance(unused, QuantConv)
    int8 = [v for v in graph.constants.values() if v.dtype == np.int8 and v.ndim == 4]
    assert sum(v.size for v in int8) == weights - unused.weight.numel()
    assert graph.proto.ByteSize() < 1.1 * weights


@pytest.mark.parametrize(
    "layer",
    [
        "backbone.stem",
        "backbone.blocks.0.depthwise",
        "backbone.blocks.0.pointwise",
        "pyramid.laterals.0",
        "pyramid.smoothing.2",
        "attend.projection",
    ],
)
def test_onnxruntime_computes_one_layer_in_exact_integers(
    layer: str, graph: Graph, model: PASSD, tmp_path: Path
) -> None:
    """Against sums in 64 bit, scaled in double precision."""
    wanted = model.get_submodule(layer)
    assert isinstance(wanted, QuantConv)
    integers = integers_of(wanted)
    conv = next(
        node
        for node in graph.nodes("Conv")
        if np.array_equal(graph.constant(graph.source(node.input[1]).input[0]), integers)
    )
    taken, weight = graph.source(conv.input[0]), graph.source(conv.input[1])
    (made,) = graph.takers(conv.output[0])
    part = Extractor(graph.proto).extract_model([taken.input[0]], [made.output[0]])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert "QLinearConv" in kinds

    (given,) = session.get_inputs()
    x = np.random.default_rng(0).integers(0, 256, given.shape).astype(np.uint8)
    (found,) = session.run(None, {given.name: x})

    input_scale, input_zero = (graph.constant(name) for name in taken.input[1:])
    output_scale, output_zero = (graph.constant(name) for name in made.input[1:])
    weight_scales = graph.constant(weight.input[1])
    bias = graph.constant(graph.source(conv.input[2]).input[0]) if len(conv.input) > 2 else 0
    total = convolved(x.astype(np.int64) - int(input_zero), integers, wanted)
    total += np.reshape(bias, (-1, 1, 1))
    factor = input_scale.astype(np.float64) * weight_scales / output_scale
    exact = total * factor.reshape(-1, 1, 1) + int(output_zero)
    # Between two integers single precision decides, in one of some hundred thousand values.
    tie = np.abs(exact % 1 - 0.5) < 1e-4
    assert tie.mean() < 0.01
    np.testing.assert_array_equal(found[~tie], np.clip(np.rint(exact), 0, 255)[~tie])
    assert len(np.unique(found)) > 50


def convolved(x: np.ndarray, weight: np.ndarray, layer: QuantConv) -> np.ndarray:
    """(1, I, H, W) and (O, I / groups, k, k) integers to (1, O, H', W') int64.

    x: less its zero point, so that the padding is 0.
    """
    pad, stride = weight.shape[2] // 2, layer.stride[0]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(padded, weight.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    depthwise = layer.groups > 1
    taps = weight[:, 0] if depthwise else weight
    return np.einsum(
        "bchwij,cij->bchw" if depthwise else "bchwij,ocij->bohw", windows, taps.astype(np.int64)
    )
