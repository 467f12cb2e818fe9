"""Each operator against onnxruntime's, and what is refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edge_passd.errors import BadInput
from edge_passd.offset_sample import DOMAIN, NAME, offset_sample
from targets.reference import evaluate
from targets.reference.operators import OPERATORS

OPSET = 18
NEAREST = {
    "mode": "nearest",
    "nearest_mode": "floor",
    "coordinate_transformation_mode": "asymmetric",
}


class Case(NamedTuple):
    """One node: its inputs, None for one left out, and attributes."""

    operator: str
    inputs: list[np.ndarray | None]
    attributes: dict[str, Any] = {}  # noqa: RUF012


def real(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(0, 3, shape).astype(np.float32)


def whole(*values: int, dtype: Any = np.int64) -> np.ndarray:
    return np.array(values, dtype)


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


IMAGE = real(1, 3, 4, 5)
# Halves, which go to the even side, and values out of range.
EDGES = np.array([[-9, -1.5, -0.5, 0.5], [1.5, 2.5, 300, 1e9]], np.float32)
SCALES = np.array([0.5, 1, 2, 0.1], np.float32)

CASES = [
    Case("Add", [IMAGE, real(3, 1, 1)]),
    Case("Add", [whole(1, 2), whole(3, 4)]),
    Case("Sub", [IMAGE, real(4, 1)]),
    Case("Mul", [IMAGE, scalar(3)]),
    Case("Div", [IMAGE, scalar(3)]),
    Case("Div", [whole(7, -7), whole(2, 2)]),
    Case("Cast", [EDGES], {"to": onnx.TensorProto.INT32}),
    Case("Cast", [IMAGE.astype(np.float16)], {"to": onnx.TensorProto.FLOAT}),
    Case("Cast", [whole(0, 3, dtype=np.uint8)], {"to": onnx.TensorProto.BOOL}),
    Case("Clip", [IMAGE, scalar(0), scalar(6)]),
    Case("Clip", [IMAGE, scalar(0)]),
    Case("Clip", [IMAGE, None, scalar(1)]),
    Case("Clip", [IMAGE]),
    Case("Relu", [IMAGE]),
    Case("Exp", [IMAGE]),
    Case("Tanh", [IMAGE]),
    Case("Softmax", [IMAGE], {"axis": 1}),
    Case("Softmax", [100 * IMAGE]),
    Case("Concat", [IMAGE, real(1, 2, 4, 5)], {"axis": 1}),
    Case("Concat", [IMAGE, IMAGE, IMAGE], {"axis": -1}),
    Case("Constant", [], {"value": onnx.numpy_helper.from_array(IMAGE)}),
    Case("Constant", [], {"value_float": 0.1}),
    Case("Constant", [], {"value_floats": [0.1, 2.0]}),
    Case("Constant", [], {"value_int": 0}),
    Case("Constant", [], {"value_ints": [3, -4]}),
    Case("Conv", [IMAGE, real(2, 3, 3, 3), real(2)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    Case("Conv", [IMAGE, real(2, 3, 3, 2)], {"pads": [2, 0, 1, 1], "dilations": [2, 1]}),
    Case("Conv", [IMAGE, real(3, 1, 3, 3)], {"group": 3, "kernel_shape": [3, 3]}),
    Case("QuantizeLinear", [EDGES, scalar(1), whole(3, dtype=np.uint8)[0]]),
    Case("QuantizeLinear", [EDGES, scalar(0.5)]),
    Case("QuantizeLinear", [EDGES, SCALES, whole(0, 1, -1, 9, dtype=np.int8)], {"axis": 1}),
    Case("DequantizeLinear", [whole(0, 9, dtype=np.uint8), scalar(0.3), np.uint8(4)]),
    Case("DequantizeLinear", [whole(0, -9, dtype=np.int32), scalar(0.3)]),
    Case(
        "DequantizeLinear",
        [np.ones((2, 4), np.int8), SCALES[:2], whole(0, 3, dtype=np.int8)],
        {"axis": 0},
    ),
    Case("Expand", [real(3, 1), whole(2, 1, 4)]),
    Case("Gather", [IMAGE, whole(1, 0, -1)], {"axis": 2}),
    Case("Gather", [IMAGE, np.array(0)]),
    Case("Reshape", [IMAGE, whole(0, -1, 5)]),
    Case("Reshape", [real(0, 3), whole(3, 0)], {"allowzero": 1}),
    Case("Resize", [IMAGE, None, np.array([1, 1, 2, 3], np.float32)], NEAREST),
    Case("Resize", [IMAGE, None, np.array([1, 1, 1.5, 0.5], np.float32)], NEAREST),
    Case("Shape", [IMAGE]),
    Case("Shape", [IMAGE], {"start": 1, "end": -1}),
    Case("Slice", [IMAGE, whole(1), whole(2**63 - 1), whole(2), whole(2)]),
    Case("Slice", [IMAGE, whole(-1, 3), whole(-(2**63), 1), whole(-1, 2), whole(-2, -1)]),
    Case("Slice", [IMAGE, whole(0, 1), whole(1, -1)]),
    Case("Squeeze", [real(1, 3, 1), whole(-1)]),
    Case("Squeeze", [real(1, 3, 1)]),
    Case("Transpose", [IMAGE], {"perm": [0, 3, 1, 2]}),
    Case("Transpose", [IMAGE]),
    Case("Unsqueeze", [IMAGE, whole(0, -1)]),
]


def node_of(case: Case) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
    """A node whose inputs are named by their places."""
    names = ["" if value is None else f"in{i}" for i, value in enumerate(case.inputs)]
    node = helper.make_node(case.operator, names, ["out"], name="net/one", **case.attributes)
    feeds = {f"in{i}": np.asarray(v) for i, v in enumerate(case.inputs) if v is not None}
    return node, feeds


def onnxruntime_says(node: onnx.NodeProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name="out")]
    model = helper.make_model(
        helper.make_graph([node], "one", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=9,
    )
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["out"], feeds)[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operator)
def test_it_is_what_onnxruntime_computes(case: Case) -> None:
    node, feeds = node_of(case)
    expected = onnxruntime_says(node, feeds)
    found = evaluate([node], feeds, ["out"])["out"]
    assert found.shape == expected.shape
    assert found.dtype == (np.float64 if expected.dtype.kind == "f" else expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_every_operator_is_tested() -> None:
    assert {("", case.operator) for case in CASES} == {*OPERATORS} - {(DOMAIN, NAME)}


def test_floats_are_computed_in_double_precision() -> None:
    node, feeds = node_of(Case("Exp", [scalar(0.1)]))
    assert evaluate([node], feeds, ["out"])["out"] == np.exp(np.float64(np.float32(0.1)))


def offset_sample_node(**attributes: int) -> onnx.NodeProto:
    node = helper.make_node(NAME, ["in0", "in1"], ["out"], "net/one", domain=DOMAIN)
    node.attribute.extend(helper.make_attribute(*each) for each in attributes.items())
    return node


def test_sampling_is_what_the_package_defines() -> None:
    rng = np.random.default_rng(0)
    projected = rng.normal(size=(1, 2 * 9 * 3, 4, 5)).astype(np.float32)
    boxes = rng.uniform(-1, 6, (1, 2, 4, 4, 5)).astype(np.float32)
    found = evaluate(
        [offset_sample_node(anchors=2, outputs=3)], {"in0": projected, "in1": boxes}, ["out"]
    )["out"]
    wanted = offset_sample(projected.astype(np.float64), boxes.astype(np.float64), 3)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (
            helper.make_node("GridSample", ["in0"], ["out"], "net/one"),
            "node 'net/one' is a GridSample of domain 'ai.onnx', an operator that is not known",
        ),
        (
            helper.make_node("Conv", ["in0", "in0"], ["out"], domain="com.microsoft"),
            "the node that makes 'out' is a Conv of domain 'com.microsoft', an operator that",
        ),
        (
            helper.make_node("Squeeze", ["in0"], ["out"], "net/one", axes=[0]),
            r"node 'net/one' is a Squeeze of a form that is not known here \(1 inputs, axes\);",
        ),
        (
            helper.make_node("Gather", ["in0"], ["out"], "net/one"),
            r"node 'net/one' is a Gather of a form that is not known here \(1 inputs\);",
        ),
        (
            helper.make_node("Concat", ["in0"], ["out"], "net/one"),
            r"node 'net/one' is a Concat of a form that is not known here \(1 inputs\);",
        ),
        (
            helper.make_node("Resize", ["in0", "", "in1"], ["out"], "net/one", mode="linear"),
            "node 'net/one': mode linear, round_prefer_floor, half_pixel; only nearest",
        ),
        (
            helper.make_node("Resize", ["in0", "", "", "in1"], ["out"], "net/one", **NEAREST),
            "node 'net/one': mode nearest, floor, asymmetric to given sizes; only nearest",
        ),
        (
            helper.make_node("Cast", ["in0"], ["out"], "net/one", to=onnx.TensorProto.FLOAT16),
            "node 'net/one': a cast to float16; only",
        ),
        (
            offset_sample_node(anchors=3, outputs=1),
            "node 'net/one': boxes of 2 anchors, not 3",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(node: onnx.NodeProto, words: str) -> None:
    feeds = {"in0": np.ones((1, 27, 1, 1)), "in1": np.ones((1, 2, 4, 1, 1))}
    with pytest.raises(BadInput, match=f"^{words}") as caught:
        evaluate([node], feeds, ["out"])
    assert "\n" not in str(caught.value)
