from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_passd.errors import BadInput
from targets.graph import Convolution, Graph, Grid, Image, Merge
from targets.passes.add_borders import add_borders
from targets.passes.read_onnx import integer_share, read_onnx
from tests.targets.surgery import (
    Change,
    attribute,
    changed,
    constant,
    drop,
    insert,
    nodes_of,
    rename,
    take,
)

# Of the network: the stem, 13 blocks of two, the extra block, laterals, smoothing, then by level
# offsets and projection.
CONVOLUTIONS = 1 + 26 + 2 + 4 + 3 + 4 * 2


@pytest.fixture(scope="module")
def float_graph(one_anchor: onnx.ModelProto) -> Graph:
    return read_onnx(one_anchor, "small.onnx")


@pytest.fixture(scope="module")
def int8_graph(shipped: onnx.ModelProto) -> Graph:
    return read_onnx(shipped, "animals5.onnx")


def convolutions(graph: Graph) -> list[Convolution]:
    return [layer for layer in graph.layers if isinstance(layer, Convolution)]


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


@pytest.mark.parametrize("name", ["float_graph", "int8_graph"])
def test_the_network_is_all_there(name: str, request: pytest.FixtureRequest) -> None:
    graph: Graph = request.getfixturevalue(name)
    assert len(convolutions(graph)) == CONVOLUTIONS
    assert sum(layer.depthwise for layer in convolutions(graph)) == 14
    assert sum(isinstance(layer, Merge) for layer in graph.layers) == 3
    assert isinstance(graph.layers[0], Image)
    names = [layer.name for layer in graph.layers]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]\w*", each) for each in names)
    assert {"backbone_stem", "backbone_blocks_0_depthwise", "propose_offsets"} < {*names}
    stem, depthwise = convolutions(graph)[:2]
    assert (stem.kernel, stem.stride, stem.depthwise) == (3, 2, False)
    assert (depthwise.kernel, depthwise.stride, depthwise.depthwise) == (3, 1, True)
    sides = [(t.height, t.width, t.channels) for t in (stem.input, stem.output, depthwise.output)]
    half = graph.size // 2
    assert sides == [(graph.size, graph.size, 3), (half, half, 32), (half, half, 32)]


def test_layers_come_after_what_they_read(int8_graph: Graph) -> None:
    made: set[int] = set()
    for layer in int8_graph.layers:
        assert made.issuperset(map(id, layer.inputs))
        made.add(id(getattr(layer, "output", None)))


def test_floats_are_taken_as_they_are(one_anchor: onnx.ModelProto, float_graph: Graph) -> None:
    image, stem, *_ = float_graph.layers
    assert isinstance(image, Image)
    assert isinstance(stem, Convolution)
    np.testing.assert_allclose(image.scale, 1 / 127.5)
    np.testing.assert_allclose(image.shift, -1)
    assert stem.limits == (0, 6)
    assert stem.multipliers is None
    assert convolutions(float_graph)[-1].limits is None
    assert not any(layer.output.grid for layer in convolutions(float_graph))
    weights = constants(one_anchor)
    node = nodes_of(one_anchor.graph, "Conv")[0]
    np.testing.assert_array_equal(stem.weights, weights[node.input[1]])
    np.testing.assert_array_equal(stem.bias, weights[node.input[2]])
    assert integer_share(float_graph) == 0


def test_scales_become_multipliers(shipped: onnx.ModelProto, int8_graph: Graph) -> None:
    """Of the first convolution, by hand."""
    values = constants(shipped)
    conv = nodes_of(shipped.graph, "Conv")[0]
    makers = {node.output[0]: node for node in nodes_of(shipped.graph, "DequantizeLinear")}
    image, weights, bias = (
        [values.get(each, np.array(0)) for each in makers[name].input] for name in conv.input
    )
    rounded = next(
        node
        for node in nodes_of(shipped.graph, "QuantizeLinear")
        if node.input[0] == conv.output[0]
    )
    scale, zero = (values[name] for name in rounded.input[1:])

    stem = convolutions(int8_graph)[0]
    assert stem.input.grid == Grid(float(image[1]), int(image[2]))
    assert stem.output.grid == Grid(float(scale), int(zero))
    np.testing.assert_array_equal(stem.weights, weights[0])
    np.testing.assert_array_equal(stem.bias, bias[0])
    exact = image[1].astype(np.float64) * weights[1].astype(np.float64) / scale.astype(np.float64)
    assert stem.multipliers is not None
    assert stem.multipliers.dtype == np.float32
    np.testing.assert_array_equal(stem.multipliers, exact.astype(np.float32))
    assert stem.limits is None
    assert integer_share(int8_graph) == 1


def test_sums_have_a_multiplier_for_each_side(int8_graph: Graph) -> None:
    for layer in int8_graph.layers:
        if isinstance(layer, Merge):
            assert layer.lateral.height == 2 * layer.top.height
            assert layer.lateral.grid is not None
            assert layer.top.grid is not None
            assert layer.output.grid is not None
            sides = [layer.lateral.grid.scale, layer.top.grid.scale]
            wanted = np.array(sides) / layer.output.grid.scale
            assert layer.multipliers == tuple(wanted.astype(np.float32).tolist())


def test_borders_are_where_windows_read(one_anchor: onnx.ModelProto) -> None:
    graph = add_borders(read_onnx(one_anchor, "small.onnx"))
    read = {id(layer.input) for layer in convolutions(graph) if layer.kernel == 3}
    for layer in convolutions(graph):
        assert layer.input.border == (id(layer.input) in read)
        assert layer.output.border == (id(layer.output) in read)
    image = graph.layers[0]
    assert isinstance(image, Image)
    assert image.output.border == 1


def test_half_weights_are_read_as_stored(one_anchor: onnx.ModelProto) -> None:
    from quant.export.graph import with_half_weights

    whole, half = (
        convolutions(read_onnx(model, "small.onnx"))
        for model in (one_anchor, with_half_weights(one_anchor))
    )
    for first, second in zip(whole, half, strict=True):
        assert second.weights.dtype == np.float32
        np.testing.assert_array_equal(second.weights, first.weights.astype(np.float16))
        assert first.name == second.name.removesuffix("_half")


def test_a_relu_is_a_limit(one_anchor: onnx.ModelProto) -> None:
    graph = read_onnx(changed(one_anchor, rename("Clip", 0, "Relu"), drop("Relu", 0, 1)), "x")
    assert convolutions(graph)[0].limits == (0, np.inf)


def test_weights_alone_on_integers_are_floats(one_anchor: onnx.ModelProto) -> None:
    """What stands behind a DequantizeLinear counts, not its integers."""
    name = nodes_of(one_anchor.graph, "Conv")[0].input[1]
    real = constants(one_anchor)[name]
    scale = np.abs(real).max((1, 2, 3)) / 127
    integers = np.rint(real / scale[:, None, None, None]).astype(np.int8)

    def change(graph: onnx.GraphProto) -> None:
        for each in graph.initializer:
            if each.name == name:
                each.CopyFrom(numpy_helper.from_array(integers, "integers"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), "scale"))
        node = onnx.helper.make_node("DequantizeLinear", ["integers", "scale"], [name], axis=0)
        graph.node.insert(0, node)

    stem = convolutions(read_onnx(changed(one_anchor, change), "x"))[0]
    expected = integers * scale.astype(np.float32)[:, None, None, None]
    np.testing.assert_allclose(stem.weights, expected, rtol=1e-6)


STEM_LIKE = np.zeros((32, 32, 1, 1), np.float32)
KNOWN = "is not among the operators that are compiled; export the model with this version"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (insert("MaxPool", ("Clip", 0), kernel_shape=[1, 1]), "MaxPool"),
        (insert("Sigmoid", ("Clip", 2)), "Sigmoid"),
        (insert("Split", ("Clip", 2), outputs=2, axis=1), "Split"),
        (rename("Clip", 3, "Conv", "com.example"), "Conv"),
        (rename("Clip", 3, "round", "com.example"), "round"),
        (insert("Clip", ("Clip", 0), 0.0, 1.0), "Clip before rounding"),
        (insert("Relu", ("Clip", 0)), "Relu before rounding"),
        (insert("Relu", ("Add", 0)), "Relu of a sum"),
        (drop("Clip", 0, 1), "Clip without two constant limits"),
        (take("Clip", 0, 1, None), "Clip without two constant limits"),
        (attribute("Conv", 0, dilations=[2, 2]), "Conv with such dilations"),
        (attribute("Conv", 2, group=2), "Conv with such group"),
        (attribute("Conv", 0, strides=[2, 1]), "Conv with such strides"),
        (attribute("Conv", 0, strides=[3, 3]), "Conv with such a window"),
        (attribute("Conv", 0, pads=[0, 1, 0, 1]), "Conv with such pads"),
        (attribute("Conv", 2, pads=[1, 1, 1, 1]), "Conv with such pads"),
        (take("Conv", 2, 1, np.zeros((64, 32, 5, 5), np.float32)), "Conv with such"),
        (take("Conv", 2, 1, np.zeros((64, 32, 1, 3), np.float32)), "Conv with such kernel_shape"),
        (take("Conv", 1, 1, np.zeros((64, 1, 3, 3), np.float32)), "Conv with several outputs"),
        (attribute("Resize", 0, mode="linear"), "Resize other than nearest, doubled,"),
        (attribute("Resize", 0, nearest_mode="ceil"), "Resize other than nearest, doubled,"),
        (take("Resize", 0, 2, [1.0, 1, 3, 3]), "Resize other than nearest, doubled,"),
        (drop("Resize", 0, 1), "Resize other than nearest, doubled,"),
        (insert("QuantizeLinear", ("Clip", 0), 0.1), "QuantizeLinear without a constant scale"),
        (insert("DequantizeLinear", ("Clip", 0), 0.1, np.uint8(0)[None]), "DequantizeLinear"),
        (insert("Add", ("Clip", 0), 1.0), "Add"),
        (insert("Sub", ("Clip", 0), 1.0), "Sub"),
        (insert("Div", ("Clip", 0), 2.0), "Div"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_an_operator_outside_the_set_is_named(
    change: Change, words: str, one_anchor: onnx.ModelProto
) -> None:
    with pytest.raises(BadInput) as caught:
        read_onnx(changed(one_anchor, change), "odd.onnx")
    assert str(caught.value).startswith(f"odd.onnx: node 'odd': {words}")
    assert KNOWN in str(caught.value)
    assert "\n" not in str(caught.value)


def second_reader(kind: str) -> Change:
    """Another convolution reads what a node of this kind is given, as it is before."""

    def change(graph: onnx.GraphProto) -> None:
        node = next(
            node for node in graph.node if node.op_type == kind and node.input[0] != "image"
        )
        node.name = "odd"
        names = [node.input[0], "odd_weights"]
        place = [*graph.node].index(node)
        graph.node.insert(place, onnx.helper.make_node("Conv", names, ["odd_output"]))
        graph.initializer.append(numpy_helper.from_array(STEM_LIKE, "odd_weights"))

    return change


@pytest.mark.parametrize(("name", "kind"), [("one_anchor", "Clip"), ("shipped", "QuantizeLinear")])
def test_what_is_read_unfinished_is_not_finished(
    name: str, kind: str, request: pytest.FixtureRequest
) -> None:
    model = changed(request.getfixturevalue(name), second_reader(kind))
    with pytest.raises(BadInput, match=f"node 'odd': {kind} of what other nodes read, too,"):
        read_onnx(model, "odd.onnx")


def behind(place: int, given: int, value: np.ndarray | None) -> Change:
    """Another constant for what dequantises an input of the first convolution, now "odd"."""

    def change(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, "Conv")[0]
        node.name = "odd"
        maker = next(each for each in graph.node if each.output[0] == node.input[place])
        inputs = [*maker.input, ""][:3]
        inputs[given] = constant(graph, "odd_constant", value)
        maker.input[:] = inputs

    return change


def real_bias(graph: onnx.GraphProto) -> None:
    node = nodes_of(graph, "Conv")[0]
    node.name, node.input[2] = "odd", constant(graph, "odd_bias", np.zeros(32, np.float32))


BYTES, ONES = np.zeros((32, 3, 3, 3), np.int8), np.ones(32, np.float32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (behind(1, 0, np.full_like(BYTES, -128)), "weights other than -127 to 127"),
        (behind(1, 0, BYTES.astype(np.uint8)), "weights other than -127 to 127"),
        (behind(1, 2, ONES.astype(np.int8)), "weights other than -127 to 127"),
        (behind(2, 2, ONES.astype(np.int32)), "a bias that is not in steps of its products"),
        (behind(2, 0, np.zeros(32, np.int8)), "a bias that is not in steps of its products"),
        (behind(2, 1, ONES), "a bias that is not in steps of its products"),
        (real_bias, "a bias that is not in steps of its products"),
    ],
)
def test_integer_convolutions_that_are_not_known_are_named(
    change: Change, words: str, shipped: onnx.ModelProto
) -> None:
    with pytest.raises(BadInput) as caught:
        read_onnx(changed(shipped, change), "odd.onnx")
    assert str(caught.value).startswith(f"odd.onnx: node 'odd': Conv with {words} {KNOWN}")


def test_scales_by_input_are_named(shipped: onnx.ModelProto) -> None:
    def turned(graph: onnx.GraphProto) -> None:
        values = {each.name: each.dims for each in graph.initializer}
        for node in nodes_of(graph, "DequantizeLinear"):
            if len(values.get(node.input[0], ())) == 4 and values[node.input[0]][0] == 256:
                node.attribute[0].i = int(values[node.input[0]][1] == 256)

    with pytest.raises(BadInput, match=f"Conv with scales that are not by output {KNOWN}"):
        read_onnx(changed(shipped, turned), "odd.onnx")


def test_a_layer_kept_in_float_is_named(shipped: onnx.ModelProto) -> None:
    """As --keep-float leaves it."""

    def keep(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, "Conv")[0]
        name = "model.backbone.stem.conv.weight"
        node.input[1:] = [constant(graph, name, BYTES.astype(np.float32))]

    message = (
        r"^odd\.onnx: 'backbone_stem' computes in float beside layers on integers, which is not "
        "compiled; quantise the model as a whole, without --keep-float$"
    )
    with pytest.raises(BadInput, match=message):
        read_onnx(changed(shipped, keep), "odd.onnx")


def test_a_sum_of_which_one_side_is_float_is_named(shipped: onnx.ModelProto) -> None:
    def unrounded(graph: onnx.GraphProto) -> None:
        """The first sum reads its lateral before it is rounded."""
        makers = {node.output[0]: node for node in graph.node}
        node = next(
            node for node in graph.node if node.op_type == "Add" and node.input[0] in makers
        )
        for place, name in enumerate(node.input):
            rounded = makers[makers[name].input[0]]
            if rounded.op_type == "QuantizeLinear":
                node.input[place] = rounded.input[0]

    with pytest.raises(BadInput, match=r"^odd\.onnx: node "):
        read_onnx(changed(shipped, unrounded), "odd.onnx")


@pytest.mark.parametrize("name", ["one_anchor", "shipped"])
def test_without_the_head_it_says_what_to_train(name: str, request: pytest.FixtureRequest) -> None:
    """Whatever else is in it."""
    whole: onnx.ModelProto = request.getfixturevalue(name)
    others = [rename("OffsetSample", 0, "GridSample") for _ in range(4)]
    first = rename("Conv", 0, "ConvTranspose")
    with pytest.raises(BadInput, match=r"^x\.onnx: no OffsetSample in it: only .*default --head$"):
        read_onnx(changed(whole, first, *others), "x.onnx")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (take("QuantizeLinear", 0, 1, 0.5), "QuantizeLinear of the image with a scale"),
        (take("QuantizeLinear", 1, 2, np.int8(0)[()]), "QuantizeLinear on something else than"),
        (take("QuantizeLinear", 1, 1, np.ones(32, np.float32)), "QuantizeLinear on something"),
        (drop("QuantizeLinear", 1, 2), "QuantizeLinear without a constant scale and zero point"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_grids_that_are_not_known_are_named(
    change: Change, words: str, shipped: onnx.ModelProto
) -> None:
    with pytest.raises(BadInput) as caught:
        read_onnx(changed(shipped, change), "odd.onnx")
    assert str(caught.value).startswith(f"odd.onnx: node 'odd': {words}")
