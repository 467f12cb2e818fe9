"""The models that are measured on a GPU: of all sizes, with the same weights where these agree.

So their files pack well, and PyTorch computes from the weights that ours computes from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from bench.models import lively_model
from edge_passd.detector import default_model
from edge_passd.errors import BadInput
from quant.engine import model_info
from quant.export.formats import ONNX
from quant.export.graph import round_to_half
from quant.model import PASSD, ModelConfig
from quant.model.folding import fold_norms
from quant.model.layers import ConvNorm
from quant.run_folder import load_run
from quant.training.scales import with_absorbed_scales
from targets.compile import lowered_graph, read_model
from targets.graph import Attend, Convolution

SHIPPED = (6, 320)  # classes with the background, pixels
_HEAD = "attend."  # of the names of what depends on the number of classes


def base_model(source: Path | None, classes: int, size: int) -> PASSD:
    """A float model from an .onnx or a run folder, of whatever classes and size; random if None.

    Its weights are float16 values, so that float16 and float32 compute with the same.
    Raises BadInput for a source that is no float model of the default shape.
    """
    if source is None:
        return half_valued(lively_model(class_names(classes), size))
    model = load_run(source)[0] if source.is_dir() else _from_onnx(source)
    if model.scheme is not None:
        raise BadInput(f"{source}: an int8 run; give the float one that it was made from")
    return half_valued(model)


def like(base: PASSD, classes: int, size: int, quantised: bool = False) -> PASSD:
    """The base itself, or a model with random weights for other numbers of classes in its head."""
    config = base.config
    if (len(config.classes) + 1, config.input_size, quantised) == (classes, size, False):
        return base
    shared = {k: v for k, v in base.state_dict().items() if not k.startswith(_HEAD)}
    model = lively_model(class_names(classes), size, quantised, shared)
    return model if quantised else half_valued(model)


def onnx_of(base: PASSD, classes: int, precision: str, size: int) -> onnx.ModelProto:
    """The exported model; int8: the one that ships, where it fits, else calibrated on a photo."""
    if precision == "int8" and (classes, size) == SHIPPED:
        return read_model(default_model())
    model = like(base, classes, size, precision == "int8")
    return onnx.load_from_string(ONNX.write(model, model_info(model, {})))


def half_weights(model: PASSD) -> dict[str, np.ndarray]:
    """Of a folded float model, by PyTorch's names; (O, I, k, k) as float16 (O, k, k, I).

    In that order they are as in a compiled model, which packs well. The rest float32.
    """
    state = fold_norms(model).state_dict()
    return {
        name: value.permute(0, 2, 3, 1).half().numpy() if value.ndim == 4 else value.numpy()
        for name, value in state.items()
        if not name.startswith("propose.objectness.")
    }


def half_valued(model: PASSD) -> PASSD:
    """A copy whose convolutions, norms folded, have float16 values; with norms that do nothing."""
    return _with_norms(round_to_half(model))


@torch.no_grad()
def _with_norms(folded: PASSD) -> PASSD:
    model = PASSD(folded.config).eval()
    state = folded.state_dict()
    norms = {name: each for name, each in model.named_modules() if isinstance(each, ConvNorm)}
    for name, layer in norms.items():
        variance = torch.full_like(layer.norm.weight, 1 - layer.norm.eps)
        state |= {
            f"{name}.norm.weight": torch.sqrt(variance + layer.norm.eps),
            f"{name}.norm.bias": state.pop(f"{name}.conv.bias"),
            f"{name}.norm.running_mean": torch.zeros_like(variance),
            f"{name}.norm.running_var": variance,
            f"{name}.norm.num_batches_tracked": torch.tensor(0),
        }
    model.load_state_dict(state)
    return model


def class_names(classes: int) -> tuple[str, ...]:
    """C - 1 names, for the background has none."""
    return tuple(f"class {number}" for number in range(1, classes))


@torch.no_grad()
def _from_onnx(path: Path) -> PASSD:
    """Layer by layer; a file has all of a model that inference needs, so no objectness."""
    exported = read_model(path)
    graph = lowered_graph(exported, str(path))
    layers = {each.name: each for each in graph.layers if isinstance(each, Convolution)}
    head = next(each.head for each in graph.layers if isinstance(each, Attend))
    model = fold_norms(PASSD(ModelConfig(class_names(graph.classes), graph.size)))
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d) or name == "propose.objectness":
            continue
        layer = layers.get(name.removesuffix(".conv").replace(".", "_"))
        if (
            layer is None
            or layer.multipliers is not None
            or layer.weights.shape != module.weight.shape
        ):
            raise BadInput(f"{path}: no float model of the default shape (see {name})")
        module.weight.copy_(torch.tensor(layer.weights))
        if module.bias is not None:
            module.bias.copy_(torch.tensor(layer.bias))
    model.attend.bias.copy_(torch.tensor(head.bias))
    model = _with_norms(model)
    model.propose_scale = torch.tensor(head.offset_scales, dtype=torch.float32)
    model.attend_scale = torch.tensor(head.attend_scales, dtype=torch.float32)
    return with_absorbed_scales(model)
