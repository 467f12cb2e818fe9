"""The kinds of file that an export can be: how each is written, and what runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from edge_passd import tflite_file
from edge_passd.model_info import ModelInfo
from quant.export.graph import round_to_half, to_onnx, with_half_weights, with_metadata
from quant.model import PASSD


@dataclass(frozen=True)
class Format:
    """engines: that can check the file. write: the content, given what it says about itself.

    rewrite: the same content with other information in it.
    pairs: whether engines that run it add products in pairs where x86 lacks VNNI.
    """

    engines: tuple[str, ...]
    write: Callable[[PASSD, ModelInfo], bytes]
    rewrite: Callable[[bytes, ModelInfo], bytes]
    pairs: bool


def _onnx(model: PASSD, info: ModelInfo) -> bytes:
    return _serialised(with_metadata(to_onnx(model), info))


def _half_onnx(model: PASSD, info: ModelInfo) -> bytes:
    return _serialised(with_metadata(with_half_weights(to_onnx(round_to_half(model))), info))


def _onnx_again(content: bytes, info: ModelInfo) -> bytes:
    return _serialised(with_metadata(onnx.load_from_string(content), info))


def _serialised(graph: onnx.ModelProto) -> bytes:
    return graph.SerializeToString(deterministic=True)


def _tflite(model: PASSD, info: ModelInfo) -> bytes:
    from quant.export.tflite import to_tflite  # its converter is an extra, and slow to import

    return to_tflite(model, info)


def _tflite_again(content: bytes, info: ModelInfo) -> bytes:
    return tflite_file.pack(tflite_file.unpack(content, "the export")[0], info.to_json())


ONNX = Format(("onnxruntime", "openvino"), _onnx, _onnx_again, pairs=True)
HALF_ONNX = Format(ONNX.engines, _half_onnx, _onnx_again, pairs=True)
TFLITE = Format(("tflite",), _tflite, _tflite_again, pairs=False)
FORMATS = {".onnx": ONNX, ".tflite": TFLITE}
