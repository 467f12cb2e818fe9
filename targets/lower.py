"""From a graph and a CPU's arithmetic to a TVM module with one entry, `run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tvm
from tvm import tirx
from tvm.ir import Expr
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from targets.graph import (
    Attend,
    Convolution,
    Graph,
    Image,
    Layer,
    Merge,
    Tensor,
    output_of,
)
from targets.isa.arithmetic import Arithmetic
from targets.layout import SLACK, layout_of
from targets.operators import attend, convolution, depthwise, image, merge, winograd
from targets.plan import Constants, Workspace, plan_constants, plan_workspace
from targets.tiles import Tiles

ENTRY = "run"


@dataclass(frozen=True)
class Lowered:
    """functions: in the order in which `run` calls them."""

    module: tvm.IRModule
    functions: tuple[str, ...]
    constants: Constants
    workspace: Workspace


def lower(graph: Graph, arithmetic: Arithmetic, tiles: Tiles) -> Lowered:
    """The module's entry is

        run(constants: u8[], workspace: u8[], image: f32[1,3,S,S], boxes: f32[1,N,4],
            scores: f32[1,N,C], first: int, last: int)

    which calls the functions from number `first` to before `last`; all of them for an inference.
    """
    arrays = {layer.name: _arrays(layer, arithmetic, tiles) for layer in graph.layers}
    constants = plan_constants(
        {(name, key): array for name, each in arrays.items() for key, array in each.items()}
    )
    workspace = workspace_of(graph, arithmetic)
    module = tvm.IRModule()
    calls: dict[str, Callable[[Buffers], list[Expr]]] = {}
    for layer in graph.layers:
        module[layer.name] = _function(layer, arithmetic, tiles, graph)
        calls[layer.name] = _arguments(layer, tuple(arrays[layer.name]), constants, workspace)
    module[ENTRY] = _entry(graph, module, calls, len(constants.content), workspace.size)
    return Lowered(module, tuple(calls), constants, workspace)


@dataclass(frozen=True)
class Buffers:
    """The entry's arguments."""

    constants: Expr
    workspace: Expr
    image: Expr
    boxes: Expr
    scores: Expr


def workspace_of(graph: Graph, arithmetic: Arithmetic) -> Workspace:
    """Where every tensor lies, with room behind it for vectors to read."""

    def bytes_of(tensor: Tensor) -> int:
        layout = layout_of(tensor, arithmetic)
        return layout.size * layout.item + SLACK

    outputs = [output_of(layer) for layer in graph.layers]
    uses = [
        (*layer.inputs, *((output,) if output else ()))
        for layer, output in zip(graph.layers, outputs, strict=True)
    ]
    return plan_workspace(uses, bytes_of)


def _arrays(layer: Layer, arithmetic: Arithmetic, tiles: Tiles) -> Mapping[str, np.ndarray]:
    """The constants of a layer, packed, in the order in which its function takes them."""
    if isinstance(layer, Convolution):
        tile, arithmetic = tiles.of(layer), arithmetic.for_weights(layer.weights)
        if layer.depthwise:
            return depthwise.constants(layer, arithmetic)
        if tile.winograd and winograd.fits(layer, arithmetic):
            return winograd.constants(layer, arithmetic, tile)
        return convolution.constants(layer, arithmetic, tile)
    if isinstance(layer, Attend):
        return attend.constants(layer, arithmetic)
    return {}


def _function(layer: Layer, arithmetic: Arithmetic, tiles: Tiles, graph: Graph) -> tirx.PrimFunc:
    if isinstance(layer, Image):
        return image.image(layer, arithmetic)
    if isinstance(layer, Merge):
        return merge.merge(layer, arithmetic)
    if isinstance(layer, Attend):
        return attend.attend(layer, arithmetic, graph.boxes)
    tile, arithmetic = tiles.of(layer), arithmetic.for_weights(layer.weights)
    if layer.depthwise:
        return depthwise.depthwise(layer, arithmetic, tile)
    if tile.winograd and winograd.fits(layer, arithmetic):
        return winograd.winograd(layer, arithmetic, tile)
    return convolution.convolution(layer, arithmetic, tile)


def _arguments(
    layer: Layer, names: tuple[str, ...], constants: Constants, workspace: Workspace
) -> Callable[[Buffers], list[Expr]]:
    """What the function of a layer is called with: inputs, constants, output."""

    def pointers(buffers: Buffers) -> list[Expr]:
        def tensor(each: Tensor) -> Expr:
            return T.address_of(buffers.workspace[workspace.offsets[each]])

        inputs = [tensor(each) for each in layer.inputs]
        if isinstance(layer, Image):
            inputs = [T.address_of(buffers.image[0, 0, 0, 0])]
        arrays = [
            T.address_of(buffers.constants[constants.offsets[layer.name, name]]) for name in names
        ]
        output = output_of(layer)
        if output is None:
            ends = [T.address_of(each[0, 0, 0]) for each in (buffers.boxes, buffers.scores)]
        else:
            ends = [tensor(output)]
        return [*inputs, *arrays, *ends]

    return pointers


def _entry(
    graph: Graph, module: tvm.IRModule, calls: Mapping[str, Callable[[Buffers], list[Expr]]],
    constants: int, workspace: int,
) -> tirx.PrimFunc:  # fmt: skip
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(ENTRY)
        T.func_attr({"global_symbol": ENTRY, "tirx.noalias": True})
        buffers = Buffers(
            T.arg("constants", T.buffer((constants,), "uint8")),
            T.arg("workspace", T.buffer((workspace,), "uint8")),
            T.arg("image", T.buffer((1, 3, graph.size, graph.size), "float32")),
            T.arg("boxes", T.buffer((1, graph.boxes, 4), "float32")),
            T.arg("scores", T.buffer((1, graph.boxes, graph.classes), "float32")),
        )
        first, last = (T.arg(name, T.int32()) for name in ("first", "last"))
        for i, (name, arguments) in enumerate(calls.items()):
            with T.If(T.And(first <= i, i < last)), T.Then():
                T.evaluate(tvm.ir.Call(module.get_global_var(name), arguments(buffers)))
    return builder.get()
