"""What a model file says of itself, whatever its format, without an engine that loads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_passd import onnx_file, tflite_file
from edge_passd.model_info import ModelInfo

# By suffix: how the metadata text is read.
METADATA: dict[str, Callable[[Path], str | None]] = {
    ".onnx": lambda path: onnx_file.read(path).metadata,
    ".tflite": lambda path: tflite_file.read(path)[1],
}


def read_info(path: Path) -> ModelInfo:
    """Raises BadInput for a file that is missing, broken, or none of edge-passd's."""
    return ModelInfo.from_json(METADATA[path.suffix.lower()](path), str(path))
