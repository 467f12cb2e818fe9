"""Any part of a graph, computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx

from edge_passd.errors import BadInput
from targets.reference.operators import as_computed
from targets.reference.steps import Step, steps_of


def evaluate(
    nodes: Iterable[onnx.NodeProto], feeds: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> dict[str, np.ndarray]:
    """The values of `outputs`, by name: floats as float64, integers in their own types.

    nodes: in an order in which each comes after what it takes. feeds: constants and inputs, which
    may be the outputs of nodes: those are not computed then. What feeds and nodes leave open is a
    ValueError; a node that is not known, or cannot be computed, is BadInput.
    """
    steps = steps_of(node for node in nodes if node.output[0] not in feeds)
    return computed(steps, feeds, outputs)


def computed(
    steps: Sequence[Step], feeds: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> dict[str, np.ndarray]:
    """`evaluate`, of steps."""
    values = {name: as_computed(value) for name, value in feeds.items()}
    todo = needed(steps, values, outputs)
    last_use = {name: i for i, step in enumerate(todo) for name in step.inputs}
    for i, step in enumerate(todo):
        values[step.output] = result(step, values)
        # Maps in float64 are large: one that nobody takes any more goes.
        for name in {*step.inputs} - {*outputs, ""}:
            if last_use[name] == i:
                del values[name]
    return {name: values[name] for name in outputs}


def needed(
    steps: Sequence[Step], known: Mapping[str, np.ndarray], outputs: Iterable[str]
) -> list[Step]:
    """Those of the steps that `outputs` hang on; ValueError if that is not enough."""
    open_names = {*outputs} - {*known}
    found: list[Step] = []
    for step in reversed(steps):
        if step.output in open_names:
            found.append(step)
            open_names.remove(step.output)
            open_names |= {*step.inputs} - {*known, ""}
    if open_names:
        raise ValueError(f"nothing puts out {', '.join(map(repr, sorted(open_names)))}")
    return found[::-1]


def result(step: Step, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """What one step computes; BadInput, naming its node, if it cannot."""
    try:
        return step.compute(*(values[name] if name else None for name in step.inputs))
    except BadInput as error:
        raise BadInput(f"{step.node}: {error}") from None
