"""A quantised model with ONNX's QuantizeLinear and DequantizeLinear in place of its grids."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from quant.int8.grid import ActivationGrid, WeightGrid
from quant.int8.layers import ImageGrid, QuantConv
from quant.model import PASSD


def with_qdq(model: PASSD) -> PASSD:
    """A copy of a quantised model for `torch.onnx.export` alone: it traces, it does not compute."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, QuantConv) and isinstance(module.weight_grid, WeightGrid):
            module.weight_grid = _Weight(module.weight_grid, module.weight)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ActivationGrid):
                setattr(parent, name, _Activation(child))
            elif isinstance(child, ImageGrid):
                setattr(parent, name, _Image(child))
    return model


class _Activation(nn.Module):
    scale: Tensor
    zero_point: Tensor

    def __init__(self, grid: ActivationGrid) -> None:
        super().__init__()
        self.register_buffer("scale", grid.scale.clone())
        self.register_buffer("zero_point", grid.zero_point.to(torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        integers = _quantised(x, self.scale, self.zero_point)
        return _dequantised(integers, self.scale, self.zero_point)


class _Image(nn.Module):
    """Pixels are integers already: quantising is a change of type, the scale comes after it."""

    one: Tensor
    zero: Tensor
    scale: Tensor
    zero_point: Tensor

    def __init__(self, grid: ImageGrid) -> None:
        super().__init__()
        self.register_buffer("one", torch.tensor(1.0))
        self.register_buffer("zero", torch.tensor(0, dtype=torch.uint8))
        self.register_buffer("scale", torch.tensor(grid.scale))
        self.register_buffer("zero_point", torch.tensor(grid.zero_point, dtype=torch.uint8))

    def forward(self, images: Tensor) -> Tensor:
        integers = _quantised(images, self.one, self.zero)
        return _dequantised(integers, self.scale, self.zero_point)


class _Weight(nn.Module):
    integers: Tensor
    scale: Tensor
    zero_point: Tensor

    def __init__(self, grid: WeightGrid, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("integers", grid.integers(weight))
        self.register_buffer("scale", grid.scale(weight).flatten())
        self.register_buffer("zero_point", torch.zeros(len(weight), dtype=torch.int8))

    def forward(self, weight: Tensor) -> Tensor:
        return _dequantised(self.integers, self.scale, self.zero_point, axis=0)


def _quantised(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    return torch.onnx.ops.symbolic(
        "QuantizeLinear", (x, scale, zero_point), dtype=torch.uint8, shape=x.shape
    )


def _dequantised(x: Tensor, scale: Tensor, zero_point: Tensor, axis: int | None = None) -> Tensor:
    return torch.onnx.ops.symbolic(
        "DequantizeLinear",
        (x, scale, zero_point),
        {} if axis is None else {"axis": axis},
        dtype=torch.float32,
        shape=x.shape,
    )


def with_integer_biases(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose integer convolutions carry int32 biases, in steps of input x weight scale."""
    graph = copy.deepcopy(graph)
    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    makers = {name: node for node in graph.graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.graph.node:
        inputs = [makers.get(name) for name in node.input[:2]]
        if node.op_type == "Conv" and len(node.input) == 3 and all(map(_dequantises, inputs)):
            x, weight = (_values(constants, maker.input[1]) for maker in inputs if maker)
            scale = (x.reshape(()) * weight).astype(np.float32)
            bias = np.rint(_values(constants, node.input[2]) / scale.astype(np.float64))
            name = f"{node.output[0]}_bias"
            graph.graph.initializer.extend(
                [
                    onnx.numpy_helper.from_array(bias.astype(np.int32), f"{name}_int32"),
                    onnx.numpy_helper.from_array(scale, f"{name}_scale"),
                ]
            )
            nodes.append(
                onnx.helper.make_node(
                    "DequantizeLinear", [f"{name}_int32", f"{name}_scale"], [name], axis=0
                )
            )
            node.input[2] = name
        nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return _without_unused(graph)


def with_integer_resizes(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that doubles maps before they are dequantised, a quarter of the bytes."""
    graph = copy.deepcopy(graph)
    makers = {name: node for node in graph.graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.graph.node:
        nodes.append(node)
        maker = makers.get(node.input[0]) if node.op_type == "Resize" else None
        if maker is not None and maker.op_type == "DequantizeLinear":
            doubled = node.output[0]
            node.input[0], node.output[0] = maker.input[0], f"{doubled}_integers"
            nodes.append(
                onnx.helper.make_node(
                    "DequantizeLinear", [node.output[0], *maker.input[1:]], [doubled]
                )
            )
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph


def _dequantises(node: onnx.NodeProto | None) -> bool:
    return node is not None and node.op_type == "DequantizeLinear"


def _values(constants: dict[str, onnx.TensorProto], name: str) -> np.ndarray:
    return onnx.numpy_helper.to_array(constants[name])


def _without_unused(graph: onnx.ModelProto) -> onnx.ModelProto:
    used = {name for node in graph.graph.node for name in node.input}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    return graph
