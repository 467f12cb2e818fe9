"""Changes to ONNX graphs, each of a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Change = Callable[[onnx.GraphProto], None]


def changed(model: onnx.ModelProto, *changes: Change) -> onnx.ModelProto:
    """A copy after the changes, each made in place."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for change in changes:
        change(copy.graph)
    return copy


def nodes_of(graph: onnx.GraphProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == kind]


def insert(
    kind: str, after: tuple[str, int], *constants: Any, outputs: int = 1, **attributes: Any
) -> Change:
    """Put a node, named "odd", between node number `after` of a kind and all that read it."""

    def change(graph: onnx.GraphProto) -> None:
        before = nodes_of(graph, after[0])[after[1]]
        old = before.output[0]
        names = [constant(graph, f"odd_{i}", value) for i, value in enumerate(constants)]
        new = [f"odd_out_{i}" for i in range(outputs)]
        for node in graph.node:
            node.input[:] = [new[-1] if name == old else name for name in node.input]
        node = helper.make_node(kind, [old, *names], new, "odd", **attributes)
        graph.node.insert([*graph.node].index(before) + 1, node)

    return change


def constant(graph: onnx.GraphProto, name: str, value: Any) -> str:
    """Its name, once it is there; of None: the name of an input that is left out."""
    if value is None:
        return ""
    array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def attribute(kind: str, number: int, **values: Any) -> Change:
    """Give a node other attributes, and the name "odd"."""

    def change(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, kind)[number]
        node.name = "odd"
        kept = [each for each in node.attribute if each.name not in values]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.extend(helper.make_attribute(*each) for each in values.items())

    return change


def rename(kind: str, number: int, other: str, domain: str = "") -> Change:
    """Make a node one of another kind, named "odd"."""

    def change(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, kind)[number]
        node.name, node.op_type, node.domain = "odd", other, domain

    return change


def take(kind: str, number: int, place: int, value: Any) -> Change:
    """Give a node, named "odd" from then on, a constant of its own in one place."""

    def change(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, kind)[number]
        node.name = "odd"
        if place < len(node.input):
            node.input[place] = constant(graph, "odd_constant", value)
        else:
            node.input.append(constant(graph, "odd_constant", value))

    return change


def drop(kind: str, number: int, keep: int) -> Change:
    """Leave a node, named "odd" from then on, only its first inputs."""

    def change(graph: onnx.GraphProto) -> None:
        node = nodes_of(graph, kind)[number]
        node.name = "odd"
        del node.input[keep:]

    return change


def replace_constants(old: Any, new: Any, only: int | None = None) -> Change:
    """Another value for all constants that equal `old`, or for one of them."""

    def change(graph: onnx.GraphProto) -> None:
        found = [
            each
            for each in graph.initializer
            if np.array_equal(numpy_helper.to_array(each), np.array(old, np.float32))
        ]
        assert found, "nothing to replace"
        for each in found if only is None else found[only : only + 1]:
            dtype = numpy_helper.to_array(each).dtype
            each.CopyFrom(numpy_helper.from_array(np.array(new, dtype), each.name))

    return change


def edit(name_end: str, change_values: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Change the values of the constants whose names end so."""

    def change(graph: onnx.GraphProto) -> None:
        found = [each for each in graph.initializer if each.name.endswith(name_end)]
        assert found, "nothing to change"
        for each in found:
            values = change_values(numpy_helper.to_array(each))
            each.CopyFrom(numpy_helper.from_array(values, each.name))

    return change
