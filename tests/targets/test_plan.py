from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.graph import Convolution, Graph, Image, Tensor, output_of
from targets.isa.arithmetic import Arithmetic
from targets.isa.avx2 import Avx2Int8
from targets.isa.avx512 import Avx512Float
from targets.isa.neon import NeonDot
from targets.layout import SLACK, layout_of
from targets.lower import workspace_of
from targets.plan import ALIGNMENT, plan_constants

ARITHMETICS = (Avx512Float(), Avx2Int8(), NeonDot())


def graph_of(sides: list[int], sources: list[int]) -> Graph:
    """An image, then layers that each read one of the tensors before them. Only lives matter."""
    tensors = [Tensor(f"t{i}", side, side, 20, border=side % 2) for i, side in enumerate(sides)]
    nothing = np.zeros((20, 20, 1, 1))
    convolutions = [
        Convolution(f"c{i}", tensors[source], output, nothing, nothing[0])
        for i, (source, output) in enumerate(zip(sources, tensors[1:], strict=True))
    ]
    return Graph((Image("image", tensors[0]), *convolutions), sides[0], 2, 0)


def outputs_of(graph: Graph) -> list[Tensor]:
    return [output for output in map(output_of, graph.layers) if output]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    sides = draw(st.lists(st.integers(1, 30), min_size=1, max_size=12))
    sources = [draw(st.integers(0, i)) for i in range(len(sides) - 1)]
    return graph_of(sides, sources)


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=lambda each: type(each).__name__)
@given(graph=graphs())
def test_tensors_that_are_needed_together_lie_apart(arithmetic: Arithmetic, graph: Graph) -> None:
    """Run with numbers for tensors: what a layer reads is still what was written there."""
    workspace = workspace_of(graph, arithmetic)
    memory = np.full(workspace.size, -1)

    def place(tensor: Tensor) -> slice:
        layout = layout_of(tensor, arithmetic)
        start = workspace.offsets[tensor]
        return slice(start, start + layout.size * layout.item + SLACK)

    written = outputs_of(graph)
    for number, (layer, output) in enumerate(zip(graph.layers, written, strict=True)):
        memory[place(output)] = number
        assert len(memory[place(output)]) == place(output).stop - place(output).start
        for tensor in layer.inputs:
            assert (memory[place(tensor)] == written.index(tensor)).all()
    assert all(offset % ALIGNMENT == 0 for offset in workspace.offsets.values())


def test_a_chain_of_equal_maps_takes_turns() -> None:
    graph = graph_of([20] * 9, list(range(8)))
    workspace = workspace_of(graph, Avx512Float())
    assert len(set(workspace.offsets.values())) == 2
    one = layout_of(outputs_of(graph)[0], Avx512Float()).size * 4 + SLACK
    assert workspace.size < 2 * (one + ALIGNMENT)


def test_a_tensor_that_is_needed_late_keeps_its_place() -> None:
    """The pyramid's laterals: the first map is read by the last layer again."""
    graph = graph_of([8] * 6, [0, 1, 2, 3, 0])
    workspace = workspace_of(graph, NeonDot())
    tensors = outputs_of(graph)
    others = {workspace.offsets[tensor] for tensor in tensors[1:]}
    assert workspace.offsets[tensors[0]] not in others
    assert len(others) == 2


arrays = st.lists(
    st.tuples(st.sampled_from(["int8", "float32", "int32"]), st.lists(st.integers(0, 9))),
    min_size=1, max_size=8,
)  # fmt: skip


@given(arrays)
def test_constants_are_read_back(contents: list[tuple[str, list[int]]]) -> None:
    given_arrays = {
        (f"layer{i}", "weights"): np.array(values, dtype)
        for i, (dtype, values) in enumerate(contents)
    }
    constants = plan_constants(given_arrays)
    for key, array in given_arrays.items():
        start = constants.offsets[key]
        assert start % ALIGNMENT == 0
        found = np.frombuffer(constants.content, array.dtype, array.size, start)
        np.testing.assert_array_equal(found, array)
        # Vectors may read past its end, as nothing else would let them at the last one.
        assert start + array.nbytes + SLACK <= len(constants.content)


def test_equal_constants_are_kept_once() -> None:
    weights = np.arange(100, dtype=np.int8)
    keys = [("first", "weights"), ("second", "weights"), ("third", "weights")]
    shared = plan_constants({keys[0]: weights, keys[1]: weights.copy(), keys[2]: weights[::-1]})
    alone = plan_constants({keys[0]: weights})
    first, second, third = (shared.offsets[key] for key in keys)
    assert first == second != third
    assert len(shared.content) == 2 * len(alone.content)


def test_the_plan_does_not_hang_on_the_run() -> None:
    """A bundle's hash is that of its plan, too."""
    graphs_ = (graph_of([9, 5, 30, 7], [0, 1, 0]) for _ in range(2))
    first, second = (workspace_of(graph, NeonDot()) for graph in graphs_)
    assert [*first.offsets.values()] == [*second.offsets.values()]
