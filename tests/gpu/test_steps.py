"""Which operators go together, in which order, and where their tensors lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from targets.compile import lowered_graph
from targets.gpu.arithmetic import ARITHMETIC
from targets.gpu.lower import Schedule, lower
from targets.gpu.steps import Convolutions, Heads, Separable, Stem, Step, fused, steps_of
from targets.graph import Convolution, Graph, Image, Layer, Merge, Tensor
from targets.plan import ALIGNMENT

CHANNELS = 8


def convolution(
    name: str, source: Tensor, kernel: int = 1, depthwise: bool = False, stride: int = 1
) -> Convolution:
    sides = -(-source.height // stride), -(-source.width // stride)
    inputs = 1 if depthwise else source.channels
    weights = np.zeros((CHANNELS, inputs, kernel, kernel), np.float32)
    output = Tensor(f"{name}_output", *sides, CHANNELS)
    return Convolution(name, source, output, weights, weights[:, 0, 0, 0], stride, depthwise)


def begin(size: int = 16) -> tuple[Image, Convolution]:
    image = Image("image", Tensor("pixels", size, size, 3))
    return image, convolution("stem", image.output, 3, stride=2)


def graph_of(*layers: Layer) -> Graph:
    return Graph(layers, 16, 2, 0)


def layers_of(step: Step) -> tuple[Layer, ...]:
    if isinstance(step, Stem):
        return step.image, step.convolution
    if isinstance(step, Separable):
        return step.depthwise, step.pointwise
    if isinstance(step, Convolutions):
        members = ((each.convolution, each.merge) for each in step.members)
        return tuple(layer for pair in members for layer in pair if layer)
    return step.levels if isinstance(step, Heads) else (step.convolution,)


def check_order(graph: Graph, steps: Sequence[Step]) -> None:
    """Each layer is in one step, and no step reads what a later one writes."""
    done = [layer for step in steps for layer in layers_of(step)]
    assert sorted(map(id, done)) == sorted(map(id, graph.layers))
    written: set[Tensor] = set()
    for step in steps:
        assert written >= {*step.inputs}
        assert not written & {*step.outputs}
        written |= {*step.outputs}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Convolutions that read any map before them, and sums of two maps of one size."""
    layers: list[Layer] = [*begin()]
    maps = [layers[1].output]  # type: ignore[union-attr]
    for number in range(draw(st.integers(0, 12))):
        kernel, depthwise = draw(st.sampled_from([(1, False), (3, False), (3, True)]))
        stride = draw(st.sampled_from([1, 2]))
        layer = convolution(
            f"c{number}", draw(st.sampled_from(maps)), kernel, depthwise, stride
        )  # fmt: skip
        layers.append(layer)
        tops = [
            each for each in maps
            if (2 * each.height, 2 * each.width) == (layer.output.height, layer.output.width)
        ]  # fmt: skip
        if tops and not depthwise and draw(st.booleans()):
            output = Tensor(f"m{number}", layer.output.height, layer.output.width, CHANNELS)
            layers.append(Merge(f"m{number}", layer.output, draw(st.sampled_from(tops)), output))
            maps.append(output)
        else:
            maps.append(layer.output)
    return graph_of(*layers)


@given(graph=graphs())
def test_steps_hold_every_layer_once_in_an_order_that_works(graph: Graph) -> None:
    steps = steps_of(graph)
    check_order(graph, steps)
    check_order(graph, fused(steps, always))


def test_convolutions_of_one_shape_go_together_unless_one_waits_for_another() -> None:
    image, stem = begin()
    half = convolution("half", stem.output, 3, stride=2)
    side, other = (convolution(n, each.output) for n, each in (("a", stem), ("b", half)))
    behind = convolution("behind", side.output)
    steps = steps_of(graph_of(image, stem, half, side, other, behind))
    assert [each.name for each in steps] == ["stem", "half", "a", "behind"]
    (together,) = (each for each in steps if each.name == "a")
    assert [each.name for each in layers_of(together)] == ["a", "b"]
    assert together.macs == side.macs + other.macs
    assert together.inputs == (stem.output, half.output)


def always(_: Separable) -> bool:
    return True


def never(_: Separable) -> bool:
    return False


def test_only_what_nothing_else_reads_is_fused() -> None:
    image, stem = begin()
    depthwise = convolution("depthwise", stem.output, 3, depthwise=True)
    first, second = (convolution(name, depthwise.output) for name in ("first", "second"))
    alone = graph_of(image, stem, depthwise, first)
    shared = graph_of(image, stem, depthwise, first, second)
    names = [
        [each.name for each in fused(steps_of(graph), pays)]
        for graph, pays in ((alone, always), (alone, never), (shared, always))
    ]
    apart = ["stem", "depthwise", "first"]
    assert names == [["stem", "first"], apart, [*apart, "second"]]


def test_the_shipped_model_in_its_steps(shipped: onnx.ModelProto) -> None:
    graph = lowered_graph(shipped, "the model")
    steps = steps_of(graph)
    check_order(graph, steps)
    kinds = [each.kind for each in steps]
    assert kinds.count("convolution 1x1, stride 1, upsample and add") == 3
    assert sum("maps" in kind for kind in kinds) == 4  # smoothing, offsets, projection, head
    assert kinds[-1] == "propose and attend, 4 maps"
    assert sum(step.macs for step in steps) == sum(
        getattr(each, "macs", 0) for each in graph.layers
    )


def pyramid(*extra: Layer) -> tuple[Layer, ...]:
    image, stem = begin()
    top = convolution("top", stem.output, stride=2)
    return image, stem, top, *extra


def test_graphs_of_another_kind_are_refused_by_the_layer_s_name() -> None:
    image, stem, top = pyramid()
    assert isinstance(image, Image)
    assert isinstance(stem, Convolution)
    assert isinstance(top, Convolution)
    flat, wide = convolution("flat", image.output, 1), convolution("wide", stem.output, 3)
    lateral, reader = convolution("lateral", stem.output), convolution("other", wide.output)
    merge = Merge("sum", lateral.output, top.output, Tensor("y", 8, 8, CHANNELS))
    of_stem = Merge("sum", stem.output, top.output, Tensor("y", 8, 8, CHANNELS))
    twice = convolution("twice", lateral.output)
    begins, adds = "takes models that begin with a 3x3 stem", "adds only to a convolution's output"
    refused = {
        f"flat: the cuda target {begins}": (image, flat),
        f"wide: the cuda target {begins}": (image, wide, reader),
        f"sum: the cuda target {adds}": (image, stem, top, lateral, twice, merge),
        f"sum: the cuda target {adds}$": (image, stem, top, of_stem),
        "again: a second image": (image, stem, Image("again", image.output)),
    }
    for message, layers in refused.items():
        with pytest.raises(BadInput, match=f"^{message}"):
            steps_of(graph_of(*layers))


@pytest.mark.parametrize("precision", ARITHMETIC)
@pytest.mark.parametrize("multiprocessors", [1, 64])
def test_tensors_that_are_needed_together_lie_apart(
    unclipped: onnx.ModelProto, shipped: onnx.ModelProto, precision: str, multiprocessors: int
) -> None:
    """Run with numbers for tensors: what a step reads is still what was written there."""
    graph = lowered_graph(shipped if precision == "int8" else unclipped, "the model")
    arithmetic = ARITHMETIC[precision]
    lowered = lower(graph, Schedule(arithmetic, True, multiprocessors))
    memory = np.full(lowered.workspace.size, -1)
    written: dict[Tensor, int] = {}
    for step in lowered.steps:
        for tensor in step.outputs:
            start = lowered.workspace.offsets[tensor]
            written[tensor] = len(written)
            assert start % ALIGNMENT == 0
            assert start + arithmetic.bytes_of(tensor) <= len(memory)
            memory[start:][: arithmetic.bytes_of(tensor)] = written[tensor]
        for tensor in (*step.inputs, *step.outputs):
            start = lowered.workspace.offsets[tensor]
            kept = memory[start:][: arithmetic.bytes_of(tensor)]
            assert (kept == written[tensor]).all(), f"{step.name}: {tensor.name}"
