"""What an edge-passd .tflite is: a TFLite model with a small zip archive behind it.

TFLite's own convention for files that travel with a model: interpreters read no further than the
model, any unzip sees the files. Ours are the model's information and the model's sha256.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.files import require_file

INFORMATION = "edge_passd.json"
DIGEST = "sha256.txt"

_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite model


def pack(model: bytes, information: str) -> bytes:
    """The file's content. information: JSON that `ModelInfo.from_json` reads. Deterministic."""
    content = io.BytesIO(model)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(zipfile.ZipInfo(INFORMATION), information)
        archive.writestr(zipfile.ZipInfo(DIGEST), hashlib.sha256(model).hexdigest())
    return content.getvalue()


def read(path: Path) -> tuple[bytes, str]:
    """What `unpack` finds in a file; BadInput also when it is missing."""
    require_file(path, "a .tflite model")
    return unpack(path.read_bytes(), str(path))


def unpack(content: bytes, path: str) -> tuple[bytes, str]:
    """The model, checked by its sha256, and its information; `path` names the file in errors.

    An interpreter may crash on a damaged model, so nothing else is handed to one. Raises BadInput
    for content that is no TFLite model, damaged, or without our archive.
    """
    if content[4:8] != _IDENTIFIER:
        raise BadInput(
            f"{path}: tflite cannot load it: no TFLite model; export one with `edge-passd export`"
        )
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise BadInput(
            f"not an edge-passd model: {path} has no {INFORMATION} at its end, so it is another "
            "program's or cut short; export one with `edge-passd export`"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            information = archive.read(INFORMATION).decode("utf-8")
            digest = archive.read(DIGEST).decode("ascii")
            model = content[: min(entry.header_offset for entry in archive.infolist())]
    except Exception as error:  # what zipfile raises shares no base class but Exception
        raise _damaged(path, str(error)) from error
    if hashlib.sha256(model).hexdigest() != digest:
        raise _damaged(path, "its sha256 is another")
    return model, information


def _damaged(path: str, how: str) -> BadInput:
    return BadInput(f"{path}: tflite cannot load it: damaged ({how}); copy or export it again")
