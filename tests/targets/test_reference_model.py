"""Whole models: the shipped one, in int8, and a small one in float, beside onnxruntime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from edge_passd.detector import Detector, default_model
from edge_passd.engines.base import INPUT, OUTPUTS
from edge_passd.errors import BadInput
from edge_passd.parity import FLOAT_LIMITS, compare
from quant.engine import TorchEngine, model_info
from quant.export.graph import to_onnx, with_half_weights, with_metadata
from quant.model import ModelConfig
from quant.training.trainer import random_model
from targets.reference import Reference, evaluate
from tests.export.conftest import SIZE, livelier


@pytest.fixture(scope="module")
def int8_model() -> onnx.ModelProto:
    """The one that ships with the package."""
    return onnx.load(default_model())


@pytest.fixture(scope="module")
def float_engine() -> TorchEngine:
    return TorchEngine.of(livelier(random_model(ModelConfig(("cat", "person"), SIZE), seed=0)))


@pytest.fixture(scope="module")
def float_model(float_engine: TorchEngine) -> onnx.ModelProto:
    model = float_engine.model
    return with_metadata(to_onnx(model), model_info(model, {}))


def image_for(model: onnx.ModelProto, photo: np.ndarray) -> np.ndarray:
    return Detector.from_engine(Reference(model)).preprocess(photo)[0]


def unoptimised(model: onnx.ModelProto, image: np.ndarray) -> dict[str, np.ndarray]:
    """Every value in onnxruntime, node by node as the graph says."""
    whole = onnx.ModelProto.FromString(model.SerializeToString())
    asked = {value.name for value in whole.graph.output}
    names = [name for node in whole.graph.node for name in node.output if name not in asked]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    whole = onnx.shape_inference.infer_shapes(whole)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        whole.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    every = [value.name for value in session.get_outputs()]
    return dict(zip(every, session.run(every, {INPUT: image}), strict=True))


def test_each_integer_layer_is_onnxruntime_s_within_a_step(
    int8_model: onnx.ModelProto, photo: np.ndarray
) -> None:
    """Each given what onnxruntime computed before it, so that nothing adds up."""
    theirs = unoptimised(int8_model, image_for(int8_model, photo))
    reference = Reference(int8_model)
    rounded = [node for node in int8_model.graph.node if node.op_type == "QuantizeLinear"]
    makers = {name: node for node in int8_model.graph.node for name in node.output}
    layers = [node for node in rounded if node.input[0] != INPUT]
    assert len(layers) == 44 + 3
    off, count = 0, 0
    for node in layers:
        given = [makers[name].input[0] for name in makers[node.input[0]].input]
        feeds = {name: theirs[name] for name in given if name in theirs}
        output = node.output[0]
        found = reference.evaluate(feeds, [output])[output]
        difference = np.abs(found.astype(int) - theirs[output])
        assert found.dtype == np.uint8
        assert difference.max() <= 1, node.input[0]
        off, count = off + np.count_nonzero(difference), count + difference.size
    assert off < 1e-4 * count


def test_the_float_end_of_the_integer_model_is_onnxruntime_s(
    int8_model: onnx.ModelProto, photo: np.ndarray
) -> None:
    theirs = unoptimised(int8_model, image_for(int8_model, photo))
    feeds = {name: value for name, value in theirs.items() if value.dtype == np.uint8}
    found = Reference(int8_model).evaluate(feeds, OUTPUTS)
    np.testing.assert_allclose(found["boxes"], theirs["boxes"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["scores"], theirs["scores"], rtol=0, atol=1e-5)


def test_every_value_of_the_float_model_is_onnxruntime_s(
    float_model: onnx.ModelProto, photo: np.ndarray
) -> None:
    image = image_for(float_model, photo)
    found, theirs = Reference(float_model).tensors(image), unoptimised(float_model, image)
    assert {*found} - {INPUT} == {*theirs}
    for name, expected in theirs.items():
        assert found[name].dtype == np.float64
        limit = 1e-4 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=limit, err_msg=name)


def test_the_float_model_detects_what_torch_does(
    float_engine: TorchEngine, float_model: onnx.ModelProto, photo: np.ndarray, tmp_path: Path
) -> None:
    """As an engine among others."""
    cv2.imwrite(str(tmp_path / "cat.png"), photo)
    record = compare(float_engine, Reference(float_model), [tmp_path / "cat.png"], FLOAT_LIMITS)
    assert record.problem is None
    assert record.engine == "reference"
    assert record.detections > 5


def test_half_weights_are_read_as_they_are_stored(
    float_model: onnx.ModelProto, photo: np.ndarray
) -> None:
    half = with_half_weights(float_model)
    assert any(node.op_type == "Cast" for node in half.graph.node)
    image = image_for(float_model, photo)
    rounded = {
        each.name.removesuffix("_half"): onnx.numpy_helper.to_array(each)
        for each in half.graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT16
    }
    expected = Reference(float_model).evaluate({INPUT: image, **rounded}, OUTPUTS)
    for found, name in zip(Reference(half).run(image), OUTPUTS, strict=True):
        np.testing.assert_array_equal(found, expected[name].astype(np.float32))


def test_tensors_holds_integers_where_the_graph_has_them(
    int8_model: onnx.ModelProto, photo: np.ndarray
) -> None:
    reference, image = Reference(int8_model), image_for(int8_model, photo)
    found = reference.tensors(image)
    for node in int8_model.graph.node:
        if node.op_type == "QuantizeLinear":
            assert found[node.output[0]].dtype == np.uint8
            assert node.input[0] not in found or node.input[0] == INPUT
    boxes, scores = reference.run(image)
    assert boxes.dtype == scores.dtype == np.float32
    np.testing.assert_array_equal(boxes, found["boxes"].astype(np.float32))
    np.testing.assert_array_equal(scores, found["scores"].astype(np.float32))


def test_any_cut_through_the_graph_gives_the_same_values(
    int8_model: onnx.ModelProto, photo: np.ndarray
) -> None:
    """Fed with values from within, evaluation starts there."""
    reference, image = Reference(int8_model), image_for(int8_model, photo)
    found = reference.tensors(image)
    names = [node.output[0] for node in int8_model.graph.node if node.op_type == "QuantizeLinear"]
    cut = {name: found[name] for name in names[30:]}
    again = reference.evaluate(cut, OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_array_equal(again[name], found[name])
    changed = {**cut, names[-1]: 255 - cut[names[-1]]}
    assert not np.array_equal(reference.evaluate(changed, OUTPUTS)["boxes"], found["boxes"])


def test_it_works_as_a_detector(int8_model: onnx.ModelProto, photo: np.ndarray) -> None:
    detections = Detector.from_engine(Reference(int8_model)).detect(photo).filter(0.5)
    assert detections.names == ("cat",)


def test_another_image_is_refused(int8_model: onnx.ModelProto) -> None:
    for image in (np.zeros((1, 3, 64, 64), np.float32), np.zeros((1, 3, 320, 320), np.uint8)):
        with pytest.raises(ValueError, match=r"the model takes \(1, 3, 320, 320\) float32"):
            Reference(int8_model).run(image)
        with pytest.raises(ValueError, match="the model takes"):
            Reference(int8_model).tensors(image)


@pytest.mark.parametrize(
    "shape", [None, [1, 3, 320], [1, 3, 320, 240], [2, 3, 64, 64], [1, 3, 0, 0]]
)
def test_a_graph_without_the_contract_s_input_is_refused(shape: list[int] | None) -> None:
    kind = onnx.TensorProto.FLOAT
    name = "picture" if shape is None else INPUT
    value = onnx.helper.make_tensor_value_info(name, kind, shape or [1, 3, 64, 64])
    graph = onnx.helper.make_graph([], "none", [value], [])
    with pytest.raises(BadInput, match=rf"broken model: it takes .*{name}.*; export it again"):
        Reference(onnx.helper.make_model(graph))


def test_what_nothing_puts_out_is_an_error() -> None:
    node = onnx.helper.make_node("Exp", ["x"], ["y"])
    for feeds, outputs in (({}, ["y"]), ({"x": np.ones(1)}, ["z"])):
        missing = "x" if outputs == ["y"] else "z"
        with pytest.raises(ValueError, match=f"nothing puts out '{missing}'"):
            evaluate([node], feeds, outputs)


def test_what_is_asked_for_is_kept_though_others_take_it() -> None:
    nodes = [
        onnx.helper.make_node("Exp", ["x"], ["y"]),
        onnx.helper.make_node("Relu", ["y"], ["z"]),
    ]
    found = evaluate(nodes, {"x": np.zeros(1)}, ["x", "y", "z"])
    assert {name: value.item() for name, value in found.items()} == {"x": 0, "y": 1, "z": 1}
