"""A PASSD in memory to a .tflite file."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from edge_passd.engines.base import INPUT, OUTPUTS
from edge_passd.model_info import ModelInfo
from edge_passd.quiet import quiet_stderr
from edge_passd.tflite_file import pack
from quant.export.tflite_qdq import with_int8_ops
from quant.export.tflite_sampler import lookup_sample
from quant.model import PASSD
from quant.model.folding import fold_norms

with quiet_stderr():
    import litert_torch
    from litert_torch.quantize.pt2e_quantizer import (
        PT2EQuantizer,
        get_symmetric_quantization_config,
    )
    from litert_torch.quantize.quant_config import QuantConfig

litert_torch.config.show_progress = False

# Only a switch: it makes the converter turn quantise and dequantise operations into int8 tensors
# instead of operations of their own. A float model has none, and the quantiser in it is not used.
_INT8_TENSORS = QuantConfig(PT2EQuantizer().set_global(get_symmetric_quantization_config()))


def to_tflite(model: PASSD, info: ModelInfo) -> bytes:
    """The content of a .tflite file of the exported graph's contract, with `info` in it.

    In: `image` (1, 3, S, S) float32 RGB 0-255. Out: `boxes` (1, N, 4) in pixels, `scores`
    (1, N, C). Float32; of a quantised model every integer layer is int8, with the scales and zero
    points of the model's grids. The same model gives the same bytes.
    """
    model = fold_norms(model).cpu().requires_grad_(False)
    if model.scheme is not None:
        model = with_int8_ops(model)
    model.attend.sampler = lookup_sample
    size = model.config.input_size
    image = torch.zeros(1, 3, size, size)
    return pack(convert(_Detections(model).eval(), {INPUT: image}), info.to_json())


def convert(module: nn.Module, inputs: dict[str, Tensor]) -> bytes:
    """A TFLite model that computes `module(**inputs)`, which returns a dict of named tensors.

    Quantise and dequantise operations, see `with_int8_ops`, become int8 tensors.
    """
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return litert_torch.convert(
            module, sample_kwargs=inputs, quant_config=_INT8_TENSORS
        ).model_content()


class _Detections(nn.Module):
    def __init__(self, model: PASSD) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return dict(zip(OUTPUTS, self.model.detections(image), strict=True))
