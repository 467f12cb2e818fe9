"""A PASSD in memory to the ONNX graph of the contract."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import Tensor, nn

from edge_passd.engines.base import INPUT, OUTPUTS
from edge_passd.model_info import METADATA_KEY, ModelInfo
from quant.export.operator import OPSET, as_operator, function
from quant.export.qdq import with_integer_biases, with_integer_resizes, with_qdq
from quant.model import PASSD
from quant.model.folding import fold_norms


def to_onnx(model: PASSD) -> onnx.ModelProto:
    """The graph of the contract, without metadata; float32, of a quantised model QDQ.

    In: `image` (1, 3, S, S) RGB 0-255. Out: `boxes` (1, N, 4) in pixels, `scores` (1, N, C).
    Norms are folded into their convolutions, sampling is the node `edge_passd.OffsetSample`.
    """
    model = fold_norms(model).cpu().requires_grad_(False)
    if model.scheme is not None:
        model = with_qdq(model)
    model.attend.sampler = as_operator
    size = model.config.input_size
    with _quiet():
        program = torch.onnx.export(
            _Detections(model).eval(),
            (torch.zeros(1, 3, size, size),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    del graph.functions[:]
    if any(node.op_type == function().name for node in graph.graph.node):
        graph.functions.append(function())
    del graph.graph.metadata_props[:]
    for node in graph.graph.node:
        del node.metadata_props[:]  # stack traces with the paths of the exporting machine
    for value in [*graph.graph.value_info, *graph.graph.input, *graph.graph.output]:
        del value.metadata_props[:]
    for tensor in graph.graph.initializer:
        del tensor.metadata_props[:]
    if model.scheme is not None:
        graph = with_integer_resizes(with_integer_biases(graph))
    return graph


def with_metadata(graph: onnx.ModelProto, info: ModelInfo) -> onnx.ModelProto:
    """A copy that says what it is."""
    graph = copy.deepcopy(graph)
    onnx.helper.set_model_props(graph, {METADATA_KEY: info.to_json()})
    graph.producer_name = "edge-passd"
    return graph


def with_half_weights(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that stores convolution weights as float16 and computes in float32 as before.

    Nothing is lost when the weights are float16 values already, see `round_to_half`.
    """
    graph = copy.deepcopy(graph)
    weights = {node.input[1] for node in graph.graph.node if node.op_type == "Conv"}
    casts = []
    for tensor in graph.graph.initializer:
        if tensor.name in weights:
            values = onnx.numpy_helper.to_array(tensor).astype("float16")
            half = f"{tensor.name}_half"
            casts.append(
                onnx.helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT)
            )
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, half))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)
    return graph


@torch.no_grad()
def round_to_half(model: PASSD) -> PASSD:
    """A copy with folded norms whose convolution weights are float16 values, kept as float32."""
    model = fold_norms(model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(module.weight.half().float())
    return model


class _Detections(nn.Module):
    def __init__(self, model: PASSD) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.detections(image)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks about libraries that nobody asked it to support."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
