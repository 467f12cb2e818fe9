"""Int8 weights over the full range, and the engines that compute them wrong on some processors.

On x86 without VNNI onnxruntime and OpenVINO multiply bytes by vpmaddubsw, which adds two products
in 16 bits and saturates. Weights of 7 bits never do. Which engine saturates here is found by
computing: tables of processors and of what libraries do on them are always out of date.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_passd import onnx_file
from edge_passd.errors import BadInput
from edge_passd.files import write_text
from edge_passd.model_info import ModelInfo

# 2 * 255 * 64 = 32,640, the most that two products add up to, fits 16 bits.
LARGEST_SAFE = 64
PROMISE = 7  # bits of weights that stay below it
CURES = (
    "compile it for x86 (`edge-passd compile`), export the run as .tflite, or make weights of 7 "
    "bits (`edge-passd qat`); --allow-saturation runs it all the same"
)
_CASE = "conv_qdq_full"  # of the doctor's; its sums need more than 16 bits
_OFF = 4.0  # of its outputs; rounding moves them by less than one


def is_full_range(path: Path) -> bool:
    """Whether an .onnx file's int8 weights may saturate and its gate has not measured otherwise.

    Raises BadInput as `require_promise` does. A file that is not .onnx is run by engines that
    compute exactly.
    """
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return False
    try:
        file = onnx_file.read(path)
        info = ModelInfo.from_json(file.metadata, str(path))
    except BadInput:
        return False  # the engine that loads it says better what is wrong
    require_promise(info, file.weights, str(path))
    return bool(_beyond(file.weights)) and _measured(info).get("safe") is not True


def require_promise(info: ModelInfo, weights: Mapping[str, np.ndarray], where: str) -> None:
    """Raise BadInput for a model that promises weights of 7 bits and holds larger ones.

    weights: int8, by the tensor's name, which the error tells. where: names the file.
    """
    scheme, large = info.training.get("int8"), _beyond(weights)
    if large and isinstance(scheme, dict) and scheme.get("weight_bits") == PROMISE:
        raise BadInput(
            f"{where}: tensor {large[0]!r} holds weights beyond the {PROMISE} bits that the file "
            "promises, so it is damaged or was edited; export it again"
        )


def verdict(path: Path, info: ModelInfo) -> str:
    """On which x86 processors the model file at `path` is right, in words."""
    if not is_full_range(path):
        return "right on every processor"
    wrong = "wrong in onnxruntime and OpenVINO without VNNI (weights of 8 bits)"
    error = _measured(info).get("box_error")
    return f"{wrong}: boxes up to {error:.3g} px off" if isinstance(error, float) else wrong


def _beyond(weights: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the tensors whose pairs may saturate."""
    return [
        name
        for name, each in weights.items()
        if each.size and (each.min() < -LARGEST_SAFE or each.max() > LARGEST_SAFE)
    ]


def _measured(info: ModelInfo) -> Mapping[str, Any]:
    """What the gate of `export` found out about x86 without VNNI; empty if it did not look."""
    found = info.training.get("x86")
    return found if isinstance(found, dict) else {}


def problem(path: Path, engine: str) -> str | None:
    """Why `engine` would compute the model at `path` wrong on this processor, or None.

    Raises BadInput as `is_full_range` does.
    """
    if not is_full_range(path) or not saturates(engine):
        return None
    return (
        f"{path}: its int8 weights use the full range of 8 bits, for which {engine} computes wrong "
        "boxes on this processor (x86 without VNNI: sums saturate in 16 bits)"
    )


@lru_cache
def saturates(engine: str) -> bool:
    """Whether an installed engine saturates on this processor: it computes a small convolution.

    The answer is kept, for the library's version and the processor, in the user's cache.
    """
    # Here, for the doctor's rooms know this one.
    from edge_passd.doctor.runners import RUNNERS

    if engine not in RUNNERS:
        return False  # bundles and PyTorch multiply exactly
    known, key = _known(), f"{engine} {_version(engine)}, {_processor()}"
    if key not in known:
        known[key] = _computed(engine)
        _keep(known)
    return known[key]


def _computed(engine: str) -> bool:
    from edge_passd.doctor.answers import FOLDER
    from edge_passd.doctor.runners import RUNNERS
    from edge_passd.doctor.trials import WRONG, try_operator

    load, suffix = RUNNERS[engine]
    path = FOLDER / f"{_CASE}{suffix}"
    return path.exists() and try_operator(load, path, _CASE, _OFF).state == WRONG


def _version(engine: str) -> str:
    from edge_passd.engines.table import ENGINES

    library = ENGINES[engine].library or engine
    try:
        return version(library.replace("_", "-"))
    except PackageNotFoundError:
        return "of unknown version"


def _processor() -> str:
    """Its name and what could change the answer: extensions, as the system tells them and as OpenCV
    asks the processor itself (an emulated one shows the host's /proc), and oneDNN's switch."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    vnni = sorted({word for line in lines for word in line.split() if "vnni" in word})
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return f"{platform.machine()} {name} {vnni} {cv2.getCPUFeaturesLine()} {limit}"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "edge-passd" / "saturation.json"


def _known() -> dict[str, bool]:
    try:
        found = json.loads(_cache().read_text(encoding="utf-8"))
        return {key: value for key, value in found.items() if isinstance(value, bool)}
    except (OSError, ValueError, AttributeError, RuntimeError):
        return {}


def _keep(known: dict[str, bool]) -> None:
    try:
        _cache().parent.mkdir(parents=True, exist_ok=True)
        write_text(_cache(), json.dumps(known, indent=1) + "\n")
    except (OSError, RuntimeError, BadInput):
        pass  # a read-only home computes it each time
