"""Whole models, compiled, beside the numpy interpreter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import tvm

from edge_passd.preprocess import to_input
from targets.build import build, llvm_target
from targets.graph import Graph, Tensor, output_of
from targets.layout import layout_of
from targets.lower import ENTRY, Lowered, lower
from targets.passes import PASSES
from targets.passes.read_onnx import read_onnx
from targets.reference import Reference
from targets.tiles import tiles_of
from tests.targets.native import NATIVE, Native

MODELS = {"int8": ("shipped",), "fp32": ("one_anchor", "unclipped")}
COMPILED = [(kernels, name) for kernels in NATIVE for name in MODELS[kernels.precision]]
ALIGNMENT = 64


def aligned(size: int, dtype: type[np.generic], content: int) -> np.ndarray:
    """(size,), with `content` in every byte."""
    memory = np.full(size * np.dtype(dtype).itemsize + ALIGNMENT, content, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size * np.dtype(dtype).itemsize].view(dtype)


@dataclass(frozen=True)
class Compiled:
    """A model for a processor, with its memory."""

    kernels: Native
    graph: Graph
    lowered: Lowered
    library: tvm.runtime.Module

    @classmethod
    def of(cls, kernels: Native, model: onnx.ModelProto) -> Compiled:
        graph = read_onnx(model, "model.onnx")
        for each in PASSES:
            graph = each(graph)
        lowered = lower(graph, kernels.arithmetic, tiles_of(kernels.board, kernels.precision))
        return cls(kernels, graph, lowered, build(lowered.module, llvm_target(kernels.board)))

    def memory(self, image: np.ndarray, content: int = 0xA5) -> list[tvm.runtime.Tensor]:
        """The entry's arguments. content: what stands in its memory before the first run."""
        graph = self.graph
        constants = aligned(len(self.lowered.constants.content), np.uint8, 0)
        constants[:] = np.frombuffer(self.lowered.constants.content, np.uint8)
        workspace = aligned(self.lowered.workspace.size, np.uint8, content)
        boxes = aligned(graph.boxes * 4, np.float32, content).reshape(1, -1, 4)
        scores = aligned(graph.boxes * graph.classes, np.float32, content).reshape(
            1, -1, graph.classes
        )
        return [tvm.runtime.tensor(each) for each in (constants, workspace, image, boxes, scores)]

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
def pair(request: pytest.FixtureRequest) -> tuple[Compiled, onnx.ModelProto]:
    """A compiled model, and the model."""
    kernels, name = request.param
    model = request.getfixturevalue(name)
    return Compiled.of(kernels, model), model


def images(size: int, photo: np.ndarray) -> dict[str, np.ndarray]:
    """(1, 3, S, S): a photo, and what no photo is."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 255, (1, 3, size, size)).astype(np.float32)
    return {
        "photo": to_input(photo, size, "stretch")[0],
        "noise": noise,
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
    pair: tuple[Compiled, onnx.ModelProto], photo: np.ndarray
) -> None:
    """Integers to the last bit, each layer right after it has run; floats within rounding."""
    compiled, model = pair
    final, compared = finished(model), 0
    for image in images(compiled.graph.size, photo).values():
        memory, wanted = compiled.memory(image), Reference(model).tensors(image)
        for i, layer in enumerate(compiled.graph.layers):
            compiled.run(memory, i, i + 1)
            tensor = output_of(layer)
            if tensor is None:
                continue
            name = final(tensor.name)
            found, expected = compiled.values(memory, tensor), wanted[name][0]
            if tensor.grid:
                np.testing.assert_array_equal(found, expected, layer.name)
            else:
                limit = 1e-4 * max(1, np.abs(expected).max())
                np.testing.assert_allclose(found, expected, rtol=0, atol=limit, err_msg=layer.name)
            compared += 1
    assert compared == 4 * (1 + 44 + 3)


def test_boxes_and_scores_are_the_reference_s(
    pair: tuple[Compiled, onnx.ModelProto], photo: np.ndarray
) -> None:
    """In float, where 44 layers round, a random network's wild boxes may be off by their size."""
    compiled, model = pair
    integers = compiled.kernels.precision == "int8"
    for name, image in images(compiled.graph.size, photo).items():
        (boxes, scores), (found_boxes, found_scores) = (
            Reference(model).run(image),
            compiled.detections(image),
        )
        sides = (boxes[..., 2:] - boxes[..., :2]).max(-1, keepdims=True)
        limit = 1e-4 + 1e-6 * sides if integers else 1e-3 + 5e-5 * sides
        assert (np.abs(found_boxes - boxes) <= limit).all(), name
        assert np.abs(found_scores - scores).max() <= (1e-6 if integers else 1e-5), name


def test_what_was_in_memory_before_is_of_no_effect(
    pair: tuple[Compiled, onnx.ModelProto], photo: np.ndarray
) -> None:
    compiled, _ = pair
    photo_, noise, *_ = images(compiled.graph.size, photo).values()
    memory = compiled.memory(noise, 0xFF)
    compiled.run(memory, 0, len(compiled.lowered.functions))
    memory[2].copyfrom(photo_)
    compiled.run(memory, 0, len(compiled.lowered.functions))
    again = memory[3].numpy(), memory[4].numpy()
    for first, second in zip(again, compiled.detections(photo_, 0x00), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_part_of_the_functions_runs_alone(
    pair: tuple[Compiled, onnx.ModelProto], photo: np.ndarray
) -> None:
    compiled, _ = pair
    image, count = images(compiled.graph.size, photo)["photo"], len(compiled.lowered.functions)
    memory = compiled.memory(image)
    before = [each.numpy().copy() for each in memory]
    compiled.run(memory, 0, 0)
    compiled.run(memory, count, count + 1)
    for each, old in zip(memory, before, strict=True):
        np.testing.assert_array_equal(each.numpy(), old)
    for first, last in ((0, 1), (1, 20), (20, count)):
        compiled.run(memory, first, last)
    whole = compiled.detections(image)
    for each, wanted in zip(memory[3:], whole, strict=True):
        np.testing.assert_array_equal(each.numpy(), wanted)


def test_the_plan_has_a_place_for_everything(pair: tuple[Compiled, onnx.ModelProto]) -> None:
    compiled, _ = pair
    lowered, graph = compiled.lowered, compiled.graph
    assert lowered.functions == tuple(layer.name for layer in graph.layers)
    assert {each for each in map(output_of, graph.layers) if each} <= {*lowered.workspace.offsets}
    assert {name for name, _ in lowered.constants.offsets} <= {*lowered.functions}
    text = str(lowered.module)
    assert len(re.findall(r"@T\.prim_func", text)) == len(lowered.functions) + 1


def test_weights_that_levels_share_are_kept_once(
    pair: tuple[Compiled, onnx.ModelProto],
) -> None:
    offsets = pair[0].lowered.constants.offsets
    shared = [place for (name, key), place in offsets.items()
              if name.startswith("propose_offsets") and key == "weights"]  # fmt: skip
    assert len(shared) == 4
