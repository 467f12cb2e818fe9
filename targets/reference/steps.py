"""The nodes of a graph as steps to compute: one operator each, or one integer layer."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import onnx

from edge_passd.errors import BadInput
from targets.reference.layers import integer_convolution, integer_sum
from targets.reference.operators import OPERATORS


class Step(NamedTuple):
    """compute: arrays of the names in `inputs` ("": None) to the array named `output`.

    node: in words, for errors.
    """

    output: str
    inputs: tuple[str, ...]
    compute: Callable[..., np.ndarray]
    node: str


def steps_of(nodes: Iterable[onnx.NodeProto]) -> list[Step]:
    """One step per node, in their order.

    A QuantizeLinear that alone takes what a convolution or sum of dequantised tensors puts out is
    one step with them, from integers to integers. Raises BadInput for a node that `OPERATORS` does
    not know, or not with its attributes.
    """
    nodes = list(nodes)
    steps = [_operator(node) for node in nodes]
    makers = {name: node for node in nodes for name in node.output}
    uses = Counter(name for node in nodes for name in node.input)
    return [
        _integer_layer(node, makers, uses) or step for node, step in zip(nodes, steps, strict=True)
    ]


def _operator(node: onnx.NodeProto) -> Step:
    kind = node.domain, node.op_type
    if kind not in OPERATORS:
        raise BadInput(
            f"{_words(node)} is a {node.op_type} of domain {node.domain or 'ai.onnx'!r}, an "
            "operator that is not known here; give what `edge-passd export` writes"
        )
    compute, attributes = OPERATORS[kind], _attributes(node)
    try:
        inspect.signature(compute).bind(*node.input, **attributes)
    except TypeError:  # inputs that lack, or attributes of another version of ONNX
        form = ", ".join([f"{len(node.input)} inputs", *attributes])
        raise BadInput(
            f"{_words(node)} is a {node.op_type} of a form that is not known here ({form}); "
            "give what `edge-passd export` writes"
        ) from None
    return Step(node.output[0], tuple(node.input), partial(compute, **attributes), _words(node))


def _integer_layer(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], uses: Mapping[str, int]
) -> Step | None:
    """The step of a QuantizeLinear with the layer that it rounds; None if that is not integer."""
    layer = makers.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
    if layer is None or uses[node.input[0]] > 1:
        return None
    names = [name for name in layer.input if name]
    sources = [makers[name] for name in names if name in makers]
    if len(sources) < len(names) or any(s.op_type != "DequantizeLinear" for s in sources):
        return None
    compute: Callable[..., np.ndarray]
    if layer.op_type == "Conv":
        axis = _attributes(sources[1]).get("axis", 1)
        compute = partial(integer_convolution, weight_axis=axis, **_attributes(layer))
    elif layer.op_type == "Add":
        # The map that was enlarged is the second, whose product is rounded: a kernel can compute
        # that once for all its copies. Of two alike the first stays first.
        sources.sort(key=lambda source: _is_resized(source, makers))
        compute = integer_sum
    else:
        return None
    taken = (*_three(node)[1:], *(name for source in sources for name in _three(source)))
    return Step(node.output[0], taken, compute, _words(layer))


def _three(node: onnx.NodeProto) -> list[str]:
    """Tensor, scale and zero point of a QuantizeLinear or DequantizeLinear; the last may be ""."""
    return [*node.input, ""][:3]


def _is_resized(dequantised: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> bool:
    maker = makers.get(dequantised.input[0])
    return maker is not None and maker.op_type == "Resize"


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: _value(each) for each in node.attribute}


def _value(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _words(node: onnx.NodeProto) -> str:
    return f"node {node.name!r}" if node.name else f"the node that makes {node.output[0]!r}"
