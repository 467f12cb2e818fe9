"""What an .onnx file says of itself, read without the onnx library, which a board does not have.

A file is a protobuf message: numbered fields, each a number or a run of bytes, which may be a
message again. The few that matter here are picked out; everything else is stepped over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.model_info import METADATA_KEY

# Field numbers of onnx.proto.
_GRAPH, _METADATA = 7, 14  # of ModelProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_INITIALIZER = 5  # of GraphProto
_DIMS, _TYPE, _INTEGERS, _NAME, _RAW = 1, 2, 5, 8, 9  # of TensorProto
_INT8 = 3

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class OnnxFile:
    """weights: the int8 convolution weights, (O, I, k, k) by the tensor's name. metadata: our
    JSON, None where there is none."""

    weights: dict[str, np.ndarray]
    metadata: str | None


def read(path: Path) -> OnnxFile:
    """Raises BadInput for a file that is missing or no ONNX model."""
    require_file(path, "an .onnx model")
    try:
        return _read(memoryview(path.read_bytes()))
    except (ValueError, IndexError) as error:
        raise BadInput(f"{path}: no ONNX model ({error}); export it again") from error


def _read(content: memoryview) -> OnnxFile:
    weights: dict[str, np.ndarray] = {}
    metadata = None
    for number, value in _fields(content):
        if number == _METADATA:
            entry = dict(_fields(_message(value)))
            if bytes(_message(entry.get(_KEY, b""))) == METADATA_KEY.encode():
                metadata = bytes(_message(entry.get(_VALUE, b""))).decode("utf-8")
        elif number == _GRAPH:
            for inner, tensor in _fields(_message(value)):
                if inner == _INITIALIZER:
                    weights |= _int8_weights(_message(tensor))
    return OnnxFile(weights, metadata)


def _int8_weights(tensor: memoryview) -> dict[str, np.ndarray]:
    """The tensor by its name if it is int8 with four dimensions."""
    dims: list[int] = []
    parts: dict[int, int | memoryview] = {}
    integers: list[int] = []
    for number, value in _fields(tensor):
        if number == _DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == _INTEGERS:
            integers += [value] if isinstance(value, int) else _varints(value)
        else:
            parts[number] = value
    if parts.get(_TYPE) != _INT8 or len(dims) != 4:
        return {}
    if _RAW in parts:
        values = np.frombuffer(_message(parts[_RAW]), np.int8)
    else:  # negative ones have 64 bits here
        values = np.array([each & 0xFF for each in integers], np.uint8).view(np.int8)
    name = bytes(_message(parts.get(_NAME, b""))).decode("utf-8")
    if values.size != math.prod(dims):
        raise ValueError(f"tensor {name!r} has {values.size} elements for {dims}")
    return {name: values.reshape(dims)}


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number of each field and its value."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = _varint(content, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"a field of kind {wire}")
        if at + size > len(content):
            raise ValueError("cut short")
        yield key >> 3, content[at : at + size]
        at += size


def _varints(content: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(content):
        value, at = _varint(content, at)
        values.append(value)
    return values


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(content):
            raise ValueError("cut short")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")


def _message(value: int | memoryview | bytes) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return memoryview(value)
