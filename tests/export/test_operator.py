"""The gather form of `OffsetSample` against the numpy reference, in onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd.offset_sample import DOMAIN, NAME, offset_sample
from quant.export.gather import DOMAIN_VERSION
from quant.export.operator import OPSET, function


def run_operator(projected: np.ndarray, boxes: np.ndarray, outputs: int) -> np.ndarray:
    """One node of the operator, with its function, in onnxruntime."""
    anchors = boxes.shape[1]
    tensor = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node(NAME, ["projected", "boxes"], ["sampled"], domain=DOMAIN)
    for name, value in (("anchors", anchors), ("outputs", outputs)):
        node.attribute.append(onnx.helper.make_attribute(name, value))
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [
            tensor("projected", onnx.TensorProto.FLOAT, projected.shape),
            tensor("boxes", onnx.TensorProto.FLOAT, boxes.shape),
        ],
        [tensor("sampled", onnx.TensorProto.FLOAT, [1, anchors, outputs, *boxes.shape[3:]])],
    )
    model = onnx.helper.make_model(
        graph,
        functions=[function()],
        opset_imports=[
            onnx.helper.make_opsetid("", OPSET),
            onnx.helper.make_opsetid(DOMAIN, DOMAIN_VERSION),
        ],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"projected": projected, "boxes": boxes})[0]


@settings(max_examples=40, deadline=None)
@given(
    anchors=st.integers(1, 3),
    outputs=st.integers(1, 7),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    spread=st.sampled_from([0.5, 3.0, 50.0, 1e6]),
    seed=st.integers(0, 2**31),
)
def test_gather_form_matches_reference(
    anchors: int, outputs: int, height: int, width: int, spread: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    projected = rng.standard_normal((1, anchors * 9 * outputs, height, width)).astype(np.float32)
    boxes = rng.uniform(-spread, spread, (1, anchors, 4, height, width)).astype(np.float32)
    expected = offset_sample(projected, boxes, outputs)
    found = run_operator(projected, boxes, outputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "cy", "cx", "expected"),
    [
        ("on a cell", 1.0, 1.0, 5.0),
        ("between two cells", 1.0, 1.5, 5.5),
        ("half outside the right edge: the outer corner counts as zero", 1.0, 2.5, 3.0),
        ("a corner cell's outer quarter", -0.5, -0.5, 0.25),
        ("one cell outside", -1.0, 1.0, 0.0),
    ],
)
def test_corners_outside_count_as_zero_one_by_one(
    name: str, cy: float, cx: float, expected: float
) -> None:
    """A box of no size puts all nine taps on its centre; only the middle tap has a map here."""
    grid = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    projected = np.zeros((1, 9, 3, 3), np.float32)
    projected[0, 4] = grid
    boxes = np.zeros((1, 1, 4, 3, 3), np.float32)
    boxes[0, 0, 0], boxes[0, 0, 1] = cy, cx
    assert run_operator(projected, boxes, 1)[0, 0, 0, 0, 0] == pytest.approx(expected)
