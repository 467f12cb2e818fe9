"""Whole models, compiled, beside the numpy interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import tvm

from edge_passd.preprocess import to_input
from targets.build import build, llvm_target
from targets.graph import Convolution, Graph, Tensor, output_of
from targets.layout import layout_of
from targets.lower import ENTRY, Lowered, lower
from targets.operators.winograd import fits
from targets.passes import PASSES
from targets.passes.read_onnx import read_onnx
from targets.reference import Reference
from targets.tiles import tiles_of
from tests.targets.native import NATIVE, Native


class Limits(NamedTuple):
    """box: pixels; side: of a box's side; score."""

    box: float
    side: float
    score: float


# In float 44 layers round, and a random network makes wild boxes of what is left.
LIMITS = {
    "shipped": Limits(1e-4, 1e-6, 1e-6),
    "one_anchor": Limits(1e-3, 1e-5, 1e-5),
    "unclipped": Limits(1e-3, 1e-4, 1e-4),
}
COMPILED = [
    (kernels, "shipped" if kernels.precision == "int8" else "one_anchor") for kernels in NATIVE
] + [(next(each for each in NATIVE if each.precision == "fp32"), "unclipped")]


@dataclass(frozen=True)
class Compiled:
    """A model, by its fixture's name, compiled for a processor."""

    name: str
    model: onnx.ModelProto
    kernels: Native
    graph: Graph
    lowered: Lowered
    library: tvm.runtime.Module

    @classmethod
    def of(cls, kernels: Native, name: str, model: onnx.ModelProto) -> Compiled:
        graph = read_onnx(model, "model.onnx")
        for each in PASSES:
            graph = each(graph)
        lowered = lower(graph, kernels.arithmetic, tiles_of(kernels.board, kernels.precision))
        library = build(lowered.module, llvm_target(kernels.board))
        return cls(name, model, kernels, graph, lowered, library)

    def memory(self, image: np.ndarray, content: int = 0xA5) -> list[tvm.runtime.Tensor]:
        """The entry's arguments. content: what stands in its memory before the first run."""
        lowered, boxes = self.lowered, self.graph.boxes
        constants = np.frombuffer(lowered.constants.content, np.uint8)
        workspace = np.full(lowered.workspace.size, content, np.uint8)
        outputs = [
            np.full((1, boxes, 4 * size), content, np.uint8).view(np.float32)
            for size in (4, self.graph.classes)
        ]
        return [tvm.runtime.tensor(each) for each in (constants, workspace, image, *outputs)]

    def run(self, memory: list[tvm.runtime.Tensor], first: int, last: int) -> None:
        self.library[ENTRY](*memory, first, last)

    def detections(self, image: np.ndarray, content: int = 0xA5) -> tuple[np.ndarray, np.ndarray]:
        memory = self.memory(image, content)
        self.run(memory, 0, len(self.lowered.functions))
        return memory[3].numpy(), memory[4].numpy()

    def values(self, memory: list[tvm.runtime.Tensor], tensor: Tensor) -> np.ndarray:
        """(C, H, W): what stands in the workspace, integers as in ONNX."""
        arithmetic = self.kernels.arithmetic
        layout, border = layout_of(tensor, arithmetic), tensor.border
        start = self.lowered.workspace.offsets[tensor]
        content = memory[1].numpy()[start : start + layout.size * layout.item].view(layout.dtype)
        rows = content.reshape(tensor.height + 2 * border, tensor.width + 2 * border, -1)
        inside = rows[border:, border:][: tensor.height, : tensor.width, : tensor.channels]
        shift = arithmetic.shift if tensor.grid else 0
        return (inside.astype(np.float64) - shift).transpose(2, 0, 1)


@pytest.fixture(scope="module", params=COMPILED, ids=lambda each: f"{each[0]}-{each[1]}")
def compiled(request: pytest.FixtureRequest) -> Compiled:
    kernels, name = request.param
    return Compiled.of(kernels, name, request.getfixturevalue(name))


Answers = dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, photo: np.ndarray) -> Callable[[str], Answers]:
    """Images of a model's size, and all that the interpreter computes from them."""

    @cache
    def of(name: str) -> Answers:
        reference = Reference(request.getfixturevalue(name))
        size = read_onnx(request.getfixturevalue(name), name).size
        return {k: (v, reference.tensors(v)) for k, v in images(size, photo).items()}

    return of


def images(size: int, photo: np.ndarray) -> dict[str, np.ndarray]:
    """(1, 3, S, S): a photo, and what no photo is."""
    noise = np.random.default_rng(0).uniform(0, 255, (1, 3, size, size)).astype(np.float32)
    return {
        "photo": to_input(photo, size, "stretch")[0],
        "black and white": np.where(noise < 128, 0, 255).astype(np.float32),
        "halves": np.floor(noise) + np.float32(0.5),
    }


def finished(model: onnx.ModelProto) -> Callable[[str], str]:
    """From what the graph first calls what a layer puts out to what it calls it in the end."""
    kinds = ("QuantizeLinear", "Clip", "Sub", "Div")
    after = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type in kinds}

    def name(first: str) -> str:
        return name(after[first]) if first in after else first

    return name


def test_every_tensor_is_the_reference_s(
    compiled: Compiled, answers: Callable[[str], Answers]
) -> None:
    """Integers to the last bit, each layer right after it has run; floats within rounding."""
    final, compared = finished(compiled.model), 0
    for image, wanted in answers(compiled.name).values():
        memory = compiled.memory(image)
        for i, layer in enumerate(compiled.graph.layers):
            compiled.run(memory, i, i + 1)
            tensor = output_of(layer)
            if tensor is None:
                continue
            found, expected = compiled.values(memory, tensor), wanted[final(tensor.name)][0]
            if tensor.grid:
                np.testing.assert_array_equal(found, expected, layer.name)
            else:
                limit = 1e-4 * max(1, np.abs(expected).max())
                np.testing.assert_allclose(found, expected, rtol=0, atol=limit, err_msg=layer.name)
            compared += 1
    assert compared == 3 * (1 + 44 + 3)


def test_boxes_and_scores_are_the_reference_s(
    compiled: Compiled, answers: Callable[[str], Answers]
) -> None:
    limits = LIMITS[compiled.name]
    for name, (image, wanted) in answers(compiled.name).items():
        boxes, scores = compiled.detections(image)
        sides = (wanted["boxes"][..., 2:] - wanted["boxes"][..., :2]).max(-1, keepdims=True)
        off = np.abs(boxes - wanted["boxes"]) - limits.side * sides
        assert off.max() <= limits.box, name
        assert np.abs(scores - wanted["scores"]).max() <= limits.score, name


def test_what_was_in_memory_before_is_of_no_effect(
    compiled: Compiled, answers: Callable[[str], Answers]
) -> None:
    photo, other, *_ = (image for image, _ in answers(compiled.name).values())
    memory = compiled.memory(other, 0xFF)
    compiled.run(memory, 0, len(compiled.lowered.functions))
    memory[2].copyfrom(photo)
    compiled.run(memory, 0, len(compiled.lowered.functions))
    again = memory[3].numpy(), memory[4].numpy()
    for first, second in zip(again, compiled.detections(photo, 0x00), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_part_of_the_functions_runs_alone(
    compiled: Compiled, answers: Callable[[str], Answers]
) -> None:
    image, _ = answers(compiled.name)["photo"]
    count = len(compiled.lowered.functions)
    memory = compiled.memory(image)
    before = [each.numpy().copy() for each in memory]
    compiled.run(memory, 0, 0)
    compiled.run(memory, count, count + 1)
    for each, old in zip(memory, before, strict=True):
        np.testing.assert_array_equal(each.numpy(), old)
    for first, last in ((0, 1), (1, 20), (20, count)):
        compiled.run(memory, first, last)
    for each, wanted in zip(memory[3:], compiled.detections(image), strict=True):
        np.testing.assert_array_equal(each.numpy(), wanted)


def test_the_plan_has_a_place_for_everything(compiled: Compiled) -> None:
    lowered, graph = compiled.lowered, compiled.graph
    assert lowered.functions == tuple(layer.name for layer in graph.layers)
    assert {each for each in map(output_of, graph.layers) if each} <= {*lowered.workspace.offsets}
    assert {name for name, _ in lowered.constants.offsets} <= {*lowered.functions}
    assert len(lowered.module.get_global_vars()) == len(lowered.functions) + 1


@pytest.mark.parametrize("head", ["propose_offsets", "attend_projection"])
def test_weights_that_levels_share_are_kept_once(compiled: Compiled, head: str) -> None:
    """For each way of packing them, which is data of the processor."""
    places = compiled.lowered.constants.offsets
    tiles = tiles_of(compiled.kernels.board, compiled.kernels.precision)
    layers = [each for each in compiled.graph.layers if each.name.startswith(head)]
    assert len(layers) == 4
    packings = {
        (tile.vectors, tile.winograd and fits(each, compiled.kernels.arithmetic))
        for each in layers
        if isinstance(each, Convolution)
        for tile in [tiles.of(each)]
    }
    assert len({places[each.name, "weights"] for each in layers}) <= len(packings)
