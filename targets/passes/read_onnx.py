"""From ONNX to our operators: float32 graphs and QDQ int8 graphs of MobileNet-PASSD.

The convolutional part is read node by node. What follows the last convolutions (boxes, sampling,
decoding, softmax) is recognised as a whole by `passes.recognise_head`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge_passd.engines.base import INPUT
from edge_passd.errors import BadInput
from edge_passd.offset_sample import NAME as OFFSET_SAMPLE
from targets.graph import Convolution, Graph, Grid, Image, Layer, Merge, Tensor
from targets.passes.recognise_head import recognise_head
from targets.reference import evaluate

_OF_WEIGHTS = ("weight", "weight_grid", "integers")  # what names of weights end with
_OPERATORS = (
    "Add", "Clip", "Conv", "DequantizeLinear", "Div", "QuantizeLinear", "Relu", "Resize", "Sub",
)  # fmt: skip


@dataclass(frozen=True)
class _Tail:
    """A value that hangs on `node`, which only the head's recognition can make sense of."""

    node: onnx.NodeProto


@dataclass(frozen=True)
class _Upsampled:
    """A tensor, twice as large by repetition."""

    tensor: Tensor


@dataclass(frozen=True)
class _Weights:
    """A constant behind a DequantizeLinear. name: in the graph. symmetric: zero is 0."""

    name: str
    values: np.ndarray
    scale: np.ndarray
    axis: int
    symmetric: bool


@dataclass(frozen=True)
class _Real:
    """An integer tensor behind a DequantizeLinear."""

    tensor: Tensor


@dataclass(eq=False)
class _Draft:
    """A layer whose output may still be rounded or cut."""

    layer: Convolution | Merge


def read_onnx(model: onnx.ModelProto, where: str) -> Graph:
    """The model as a `Graph`; `where` names it in errors.

    Raises BadInput that names the first node outside the set of operators.
    """
    if not any(node.op_type == OFFSET_SAMPLE for node in model.graph.node):
        raise BadInput(
            f"{where}: no {OFFSET_SAMPLE} in it: only models with the propose-attend head are "
            "compiled; train with the default --head"
        )
    return _Reader(model, where).read()


def integer_share(graph: Graph) -> float:
    """Share of the convolutions' multiply-adds that run on integers."""
    layers = [layer for layer in graph.layers if isinstance(layer, Convolution)]
    total = sum(layer.macs for layer in layers)
    return sum(layer.macs for layer in layers if layer.multipliers is not None) / total


class _Reader:
    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        self.nodes, self.where = list(model.graph.node), where
        self.values: dict[str, object] = {
            each.name: numpy_helper.to_array(each) for each in model.graph.initializer
        }
        self.values[""] = None
        size = model.graph.input[0].type.tensor_type.shape.dim[3].dim_value
        self.size = size
        self.pixels = Tensor(INPUT, size, size, 3)
        self.image = Image(INPUT, self.pixels)
        self.values[INPUT] = self.image
        self.layers: list[Layer] = [self.image]
        self.tensors: dict[str, Tensor] = {}  # where the convolutional part ends, by ONNX name
        self.quantised: dict[str, _Weights] = {}
        self.names: set[str] = set()
        self.uses = Counter(name for node in self.nodes for name in node.input)

    def read(self) -> Graph:
        for node in self.nodes:
            self._node(node)
        for layer in self.layers:
            if isinstance(layer, Convolution) and (layer.multipliers is None) != (
                layer.output.grid is None
            ):
                raise self._mixed(layer.name)
        constants = {k: v for k, v in self.values.items() if isinstance(v, np.ndarray)}
        maps = {name: tensor for name, tensor in self.tensors.items() if name not in constants}
        attends = recognise_head(self.nodes, constants, maps, self.size, self.where)
        boxes = sum(each.boxes for each in attends)
        return Graph((*self.layers, *attends), self.size, attends[0].head.classes, boxes)

    def _node(self, node: onnx.NodeProto) -> None:
        inputs = [self.values[name] for name in node.input]
        tails = [each for each in inputs if isinstance(each, _Tail)]
        arrays = [each for each in inputs if isinstance(each, np.ndarray)]
        if len(arrays) == sum(map(bool, node.input)):
            feeds = dict(zip(filter(None, node.input), arrays, strict=True))
            self.values[node.output[0]] = evaluate([node], feeds, node.output)[node.output[0]]
            if node.op_type == "DequantizeLinear":
                axis = {a.name: a.i for a in node.attribute}.get("axis", 1)
                self.quantised[node.output[0]] = _Weights(
                    node.input[0], arrays[0], arrays[1], axis, not np.any(arrays[2:])
                )
        elif tails and node.op_type in ("Conv", "QuantizeLinear", "DequantizeLinear"):
            raise self._unknown(tails[0].node)
        elif not tails and not node.domain and node.op_type in _OPERATORS:
            self.values[node.output[0]] = getattr(self, f"_{node.op_type}")(node, *inputs)
        else:
            for name, each in zip(node.input, inputs, strict=True):
                if isinstance(each, _Draft | _Real | Tensor):
                    self.tensors[name] = self._tensor(node, each)
            first = tails[0] if tails else _Tail(node)
            self.values |= dict.fromkeys(node.output, first)

    def _unknown(self, node: onnx.NodeProto, why: str = "") -> BadInput:
        name = node.name or node.output[0]
        return BadInput(
            f"{self.where}: node {name!r}: {node.op_type}{why} is not among the operators that are "
            "compiled; export the model with this version of edge-passd"
        )

    def _mixed(self, layer: str) -> BadInput:
        return BadInput(
            f"{self.where}: {layer!r} computes in float beside layers on integers, which is not "
            "compiled; quantise the model as a whole, without --keep-float"
        )

    def _tensor(self, node: onnx.NodeProto, value: object) -> Tensor:
        """The tensor that a value is, once nothing more can be fused into its layer."""
        if isinstance(value, _Draft):
            return value.layer.output
        if isinstance(value, _Real):
            return value.tensor
        if isinstance(value, Image):
            return value.output
        if isinstance(value, Tensor):
            return value
        raise self._unknown(node, f" of {type(value).__name__.strip('_').lower()}")

    # ONNX operators, by name.

    def _Sub(self, node: onnx.NodeProto, image: object, mean: object) -> Image:
        if not isinstance(image, Image) or not isinstance(mean, np.ndarray):
            raise self._unknown(node)
        return self._affine(image, np.ones(1), -mean)

    def _Div(self, node: onnx.NodeProto, image: object, std: object) -> object:
        if not isinstance(image, Image) or not isinstance(std, np.ndarray):
            raise self._unknown(node)
        return self._affine(image, 1 / std.astype(np.float64), np.zeros(1))

    def _affine(self, image: Image, scale: np.ndarray, shift: np.ndarray) -> Image:
        """The image's normalisation, one step further."""
        scales = np.broadcast_to(scale.astype(np.float64).ravel(), 3)
        shifts = np.broadcast_to(shift.astype(np.float64).ravel(), 3)
        image.scale = tuple(image.scale * scales)
        image.shift = tuple(image.shift * scales + shifts)
        return image

    def _QuantizeLinear(
        self, node: onnx.NodeProto, value: object, scale: object, zero: object = None
    ) -> Tensor:
        grid = self._grid(node, scale, zero)
        if isinstance(value, Image):
            if (grid.scale, grid.zero_point) != (1.0, 0):
                raise self._unknown(node, " of the image with a scale")
            value.output.grid = grid
            return value.output
        layer = self._draft(node, value)
        self._round(node, layer, grid)
        return layer.output

    def _grid(self, node: onnx.NodeProto, scale: object, zero: object) -> Grid:
        if not isinstance(scale, np.ndarray) or not isinstance(zero, np.ndarray):
            raise self._unknown(node, " without a constant scale and zero point")
        if scale.size != 1 or zero.size != 1 or zero.dtype != np.uint8:
            raise self._unknown(node, " on something else than one grid of uint8")
        return Grid(scale.item(), zero.item())

    def _round(self, node: onnx.NodeProto, layer: Convolution | Merge, grid: Grid) -> None:
        """Make an output integer, its scale folded into the layer's multipliers."""
        if isinstance(layer, Merge):
            scales = [each.grid.scale for each in layer.inputs if each.grid]
            if len(scales) != 2:
                raise self._unknown(node, " of a sum of floats")
            layer.multipliers = tuple(float(np.float32(s / grid.scale)) for s in scales)
        else:
            if layer.multipliers is None:
                raise self._mixed(layer.name)
            scaled = layer.multipliers.astype(np.float64) / grid.scale
            layer.multipliers = scaled.astype(np.float32)
        layer.output.grid = grid

    def _DequantizeLinear(
        self, node: onnx.NodeProto, value: object, scale: object, zero: object = None
    ) -> object:
        grid = self._grid(node, scale, zero)
        if isinstance(value, _Upsampled) and value.tensor.grid == grid:
            return value
        if not isinstance(value, Tensor) or value.grid is None:
            raise self._unknown(node)
        # The image's grid is read twice: as pixels, then as what they are normalised to.
        if value is not self.pixels and grid != value.grid:
            raise self._unknown(node, " with another scale than its tensor")
        value.grid = grid
        return _Real(value)

    def _Conv(
        self, node: onnx.NodeProto, x: object, weights: object, bias: object = None
    ) -> _Draft:
        tensor = self._tensor(node, x)
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        quantised = self.quantised.get(node.input[1])
        array = quantised.values if quantised else weights
        if not isinstance(array, np.ndarray):
            raise self._unknown(node, " with weights that are no constant")
        kernel, stride = array.shape[2], attributes.get("strides", [1, 1])[0]
        depthwise = attributes.get("group", 1) != 1
        pads, whole = attributes.get("pads", [0] * 4), [kernel // 2] * 4
        expected = {
            "kernel_shape": [kernel] * 2, "strides": [stride] * 2, "dilations": [1, 1],
            "pads": whole, "group": tensor.channels if depthwise else 1,
        }  # fmt: skip
        odd = [k for k, v in expected.items() if attributes.get(k, v) != v] + [
            "pads" for _ in range(pads != whole)
        ]
        if array.shape[3] != kernel:
            odd.append("kernel_shape")
        if odd or kernel not in (1, 3) or stride not in (1, 2) or (depthwise and kernel == 1):
            raise self._unknown(node, f" with such {odd[0] if odd else 'a window'}")
        if depthwise and array.shape[0] != tensor.channels:
            raise self._unknown(node, " with several outputs for each channel")
        output = Tensor(
            node.output[0],
            (tensor.height - 1) // stride + 1,
            (tensor.width - 1) // stride + 1,
            array.shape[0],
        )
        name = self._name(quantised.name if quantised else node.input[1])
        multipliers = None
        if isinstance(x, _Real):
            if quantised is None:
                raise self._mixed(name)
            # Still in steps of the accumulator; `_round` divides by the output's.
            multipliers = self._steps(node, tensor, quantised)
            offset = self._integer_bias(node, multipliers)
        else:
            array = np.asarray(weights, np.float32)
            offset = np.asarray(np.zeros(len(array)) if bias is None else bias, np.float32)
        layer = Convolution(name, tensor, output, array, offset, stride, depthwise, multipliers)
        self.layers.append(layer)
        return _Draft(layer)

    def _steps(self, node: onnx.NodeProto, x: Tensor, weights: _Weights) -> np.ndarray:
        """(O,) float64: what one step of an integer convolution's accumulators stands for."""
        values, scale = weights.values, weights.scale
        if values.dtype != np.int8 or values.min() < -127 or not weights.symmetric:
            raise self._unknown(node, " with weights other than -127 to 127")
        if x.grid is None or (scale.size > 1 and weights.axis != 0):
            raise self._unknown(node, " with scales that are not by output")
        return np.broadcast_to(x.grid.scale * scale.astype(np.float64).ravel(), len(values))

    def _integer_bias(self, node: onnx.NodeProto, steps: np.ndarray) -> np.ndarray:
        """(O,) int32, of an integer convolution."""
        if len(node.input) < 3:
            return np.zeros(len(steps), np.int32)
        bias = self.quantised.get(node.input[2])
        if (
            bias is None
            or bias.values.dtype != np.int32
            or not bias.symmetric
            or not np.array_equal(bias.scale.astype(np.float32), steps.astype(np.float32))
        ):
            raise self._unknown(node, " with a bias that is not in steps of its products")
        return bias.values

    def _Clip(
        self, node: onnx.NodeProto, value: object, low: object = None, high: object = None
    ) -> _Draft:
        if not isinstance(low, np.ndarray) or not isinstance(high, np.ndarray):
            raise self._unknown(node, " without two constant limits")
        return self._cut(node, value, float(low), float(high))

    def _Relu(self, node: onnx.NodeProto, value: object) -> _Draft:
        return self._cut(node, value, 0.0, np.inf)

    def _cut(self, node: onnx.NodeProto, value: object, low: float, high: float) -> _Draft:
        layer = self._draft(node, value)
        if not isinstance(layer, Convolution):
            raise self._unknown(node, " of a sum")
        if layer.multipliers is not None or layer.limits is not None:
            raise self._unknown(node, " before rounding")
        layer.limits = low, high
        return _Draft(layer)

    def _draft(self, node: onnx.NodeProto, value: object) -> Convolution | Merge:
        """The layer that `node` completes, if nobody else reads it as it was before."""
        if not isinstance(value, _Draft):
            raise self._unknown(node)
        if self.uses[node.input[0]] > 1:
            raise self._unknown(node, " of what other nodes read, too,")
        return value.layer

    def _Resize(
        self,
        node: onnx.NodeProto,
        value: object,
        roi: object = None,
        scales: object = None,
        sizes: object = None,
    ) -> _Upsampled:
        how = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        nearest = (
            how.get("mode", b"nearest"),
            how.get("nearest_mode"),
            how.get("coordinate_transformation_mode"),
        )
        doubled = isinstance(scales, np.ndarray) and scales.tolist() == [1, 1, 2, 2]
        if not doubled or nearest != (b"nearest", b"floor", b"asymmetric"):
            raise self._unknown(node, " other than nearest, doubled,")
        return _Upsampled(self._tensor(node, value))

    def _Add(self, node: onnx.NodeProto, first: object, second: object) -> _Draft:
        top, lateral = sorted((first, second), key=lambda v: not isinstance(v, _Upsampled))
        if not isinstance(top, _Upsampled):
            raise self._unknown(node)
        tensor = self._tensor(node, lateral)
        size = 2 * top.tensor.height, 2 * top.tensor.width, top.tensor.channels
        if (tensor.height, tensor.width, tensor.channels) != size:
            raise self._unknown(node, " of maps that do not fit")
        output = Tensor(node.output[0], tensor.height, tensor.width, tensor.channels)
        layer = Merge(self._name("merge"), tensor, top.tensor, output)
        self.layers.append(layer)
        return _Draft(layer)

    def _name(self, weights: str) -> str:
        """A layer's name, from that of its weights: fit for a function, unlike all others."""
        parts = [p for p in weights.split(".") if p not in ("model", "conv", *_OF_WEIGHTS)]
        name = re.sub(r"\W", "_", "_".join(parts))
        candidates = chain([name], (f"{name}_{i}" for i in count(1)))
        free = next(each for each in candidates if each not in self.names)
        self.names.add(free)
        return free
