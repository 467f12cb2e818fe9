from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_passd.boxes import VOC_SCALES, cells_for, strides_for
from edge_passd.errors import BadInput
from quant.model import ModelConfig
from targets.graph import Attend, Graph
from targets.passes.read_onnx import read_onnx
from tests.targets.conftest import ONE_ANCHOR, UNCLIPPED
from tests.targets.surgery import (
    Change,
    attribute,
    changed,
    constant,
    nodes_of,
    replace_constants,
)


def levels(graph: Graph) -> list[Attend]:
    return [layer for layer in graph.layers if isinstance(layer, Attend)]


@pytest.mark.parametrize(("name", "config"), [("one_anchor", ONE_ANCHOR), ("unclipped", UNCLIPPED)])
def test_what_the_model_was_made_of_is_found(
    name: str, config: ModelConfig, request: pytest.FixtureRequest
) -> None:
    graph = read_onnx(request.getfixturevalue(name), "x")
    found = levels(graph)
    anchors, classes = len(config.scales), len(config.classes) + 1
    cells = cells_for(config.input_size)
    counts = [side * side * anchors for side in cells]
    assert [each.stride for each in found] == [*strides_for(config.input_size)]
    assert [each.offsets.height for each in found] == [*cells]
    assert [each.boxes for each in found] == counts
    assert [each.first for each in found] == [sum(counts[:i]) for i in range(len(counts))]
    assert graph.boxes == sum(counts)
    assert graph.size == config.input_size
    for each in found:
        assert each.projected.channels == anchors * 9 * (classes + 4)
        assert each.offsets.channels == 4 * anchors
        assert each.head.classes == graph.classes == classes
        assert each.head.clipped == (config.propose == "clipped")
        np.testing.assert_allclose(each.head.sides, 4 * np.array(config.scales), rtol=1e-6)
        np.testing.assert_allclose(each.head.offset_scales, 1, rtol=1e-6)
        np.testing.assert_allclose(each.head.attend_scales, 1, rtol=1e-6)


def test_the_bias_is_found_but_for_what_softmax_does_not_see(unclipped: onnx.ModelProto) -> None:
    shape = len(UNCLIPPED.scales), len(UNCLIPPED.classes) + 5
    (wanted,) = (
        values.reshape(shape)
        for values in map(numpy_helper.to_array, unclipped.graph.initializer)
        if values.size == np.prod(shape) and values.ndim > 2
    )
    found = levels(read_onnx(unclipped, "x"))[0].head.bias
    assert found.shape == shape
    np.testing.assert_allclose(found[:, -4:], wanted[:, -4:], atol=1e-6)
    shifts = found[:, :-4] - wanted[:, :-4]
    np.testing.assert_allclose(shifts, shifts[:, :1].repeat(shape[1] - 4, 1), atol=1e-6)


def test_scales_of_an_integer_model_are_found(shipped: onnx.ModelProto) -> None:
    found = levels(read_onnx(shipped, "x"))
    for each in found:
        np.testing.assert_allclose(each.head.sides, 4 * np.array(VOC_SCALES), rtol=1e-6)
        np.testing.assert_allclose(each.head.offset_scales, [1, 1, 0.2, 0.2], rtol=1e-6)
        np.testing.assert_allclose(each.head.attend_scales, [0.1, 0.1, 0.2, 0.2], rtol=1e-6)
        assert each.head.clipped
        assert each.offsets.grid is not None
        assert each.projected.grid is not None


def other(kind: str, number: int, place: int, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Give one node of a kind a changed copy of a constant that it shares with others."""

    def apply(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, kind)[number]
        values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        node.input[place] = constant(graph, "odd", change(values[node.input[place]]))

    return apply


def replaced(kind: str, number: int, by: str) -> Change:
    def apply(graph: onnx.GraphProto) -> None:
        nodes_of(graph, kind)[number].op_type = by

    return apply


def swapped(graph: onnx.GraphProto) -> None:
    """The levels' boxes in another order than their scores."""
    joins = [node for node in nodes_of(graph, "Concat") if len(node.input) == 4]
    joins[0].input[:] = [*joins[0].input[::-1]]


def unscaled(graph: onnx.GraphProto) -> None:
    """One level's boxes in pixels as if its stride were another."""
    values = {each.name: each for each in graph.initializer}
    for node in nodes_of(graph, "Mul"):
        strides = numpy_helper.to_array(values[node.input[1]]) if node.input[1] in values else None
        if strides is not None and set(np.unique(strides)) == {8, 16, 32, 64}:
            halved = np.where(strides == 64, 32, strides).astype(np.float32)
            node.input[1] = constant(graph, "odd", halved)


def default_boxes(graph: onnx.GraphProto) -> None:
    """A level samples boxes that nobody proposed."""
    node = nodes_of(graph, "OffsetSample")[0]
    node.input[1] = constant(graph, "odd", np.ones((1, 1, 4, 8, 8), np.float32))


def samples_of_a_product(graph: onnx.GraphProto) -> None:
    node = nodes_of(graph, "OffsetSample")[0]
    inputs = [node.input[0], constant(graph, "two", 2)]
    node.input[0] = "odd"
    graph.node.insert([*graph.node].index(node), onnx.helper.make_node("Mul", inputs, ["odd"]))


def cut(limit: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.full_like(values, limit)


FIT = "(OffsetSample) has attributes that do not fit what it is given"
BOXES = "(OffsetSample) takes boxes that are not those of equations 1 and 2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced("Tanh", 0, "Relu"), BOXES),
        (other("Clip", -5, 2, cut(3)), BOXES),
        (replaced("Exp", 0, "Relu"), BOXES),
        (replaced("Tanh", 2, "Relu"), BOXES),
        (other("Mul", 0, 1, lambda v: 3 * v), "has other default boxes than the finest level"),
        (other("Clip", -1, 2, cut(3)), "(Concat) computes other boxes than the propose-attend"),
        (replaced("Exp", -1, "Relu"), "(Concat) computes other boxes than the propose-attend"),
        (replace_constants([0.5, 0.5, 0, 0], [0.4, 0.5, 0, 0]), "computes other boxes"),
        (attribute("Softmax", 0, axis=1), "(Softmax) computes other scores than the"),
        (attribute("OffsetSample", 0, outputs=5), FIT),
        (attribute("OffsetSample", 3, anchors=3, outputs=2), FIT),
        (swapped, "computes other boxes"),
        (unscaled, "computes other boxes"),
        (default_boxes, "(OffsetSample) takes boxes from 0 convol"),
        (samples_of_a_product, "(OffsetSample) samples something that is no convolution's output"),
    ],
)
def test_another_computation_is_refused(
    change: Change, words: str, one_anchor: onnx.ModelProto
) -> None:
    with pytest.raises(BadInput) as caught:
        read_onnx(changed(one_anchor, change), "odd.onnx")
    message = str(caught.value)
    assert message.startswith("odd.onnx: node '")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("number", range(-5, 0))
def test_every_limit_of_an_integer_model_is_looked_at(
    number: int, shipped: onnx.ModelProto
) -> None:
    """Each level's own, and that of the last stage, though scales keep most values small."""
    with pytest.raises(BadInput, match=r"takes boxes that|computes other boxes"):
        read_onnx(changed(shipped, other("Clip", number, 2, cut(3.9))), "odd.onnx")
