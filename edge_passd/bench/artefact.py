"""What was measured: the artefact's identity and everything it says about how it was made."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_passd import __version__, saturation
from edge_passd.any_detector import AnyDetector
from edge_passd.bundle import Manifest, read_manifest
from edge_passd.detector import Detector
from edge_passd.engines.table import BUNDLE, ENGINES, choose
from edge_passd.fields import is_count, is_list_of, is_object, is_size


@dataclass(frozen=True)
class Candidate:
    """An artefact that is to be measured.

    path: of its file or folder. open: loads it; takes the number of threads, None for the engine's
    own choice, and raises BadInput for what it cannot load. library: the module that computes, for
    its version; None if the file brings it along. name: in the row in place of the file's, where
    that says nothing.
    """

    path: Path
    open: Callable[[int | None], AnyDetector]
    library: str | None = None
    name: str | None = None


def candidate(path: Path, engine: str, soft_nms: bool, allow_saturation: bool) -> Candidate:
    """A model of edge-passd, opened as `Detector` does; BadInput if no engine here takes it."""
    chosen = choose(path, engine, allow_saturation)
    opened = partial(Detector, path, chosen, soft_nms=soft_nms, allow_saturation=allow_saturation)
    return Candidate(path, opened, ENGINES[chosen].library)


def identity(detector: AnyDetector, measured: Candidate) -> dict[str, Any]:
    """What tells one artefact from another: name, file, sha256, size, precision, engine.

    saturates: whether the engine computes it wrong on this processor, see `edge_passd.saturation`.
    """
    path = measured.path
    return {
        "model": detector.info.name,
        "file": measured.name or path.resolve().name,
        "model_sha256": detector.model_sha256,
        "model_bytes": path.stat().st_size if path.is_file() else None,
        "precision": detector.info.precision,
        "engine": detector.engine,
        "saturates": saturation.problem(path, detector.engine) is not None,
    }


def origin(detector: AnyDetector, path: Path) -> dict[str, Any]:
    """Classes, input, target, integer share, parity and training, as the artefact tells them.

    target and macs are null for what is no bundle, int8_share where nobody counted.
    """
    info = detector.info
    manifest = read_manifest(path) if path.suffix.lower() in BUNDLE else None
    return {
        "classes": list(info.classes),
        "input_size": info.input_size,
        "target": asdict(manifest.target) if manifest else None,
        "macs": sum(each["macs"] for each in manifest.operators) if manifest else None,
        "compiler": dict(manifest.compiler) if manifest else {},
        **(_compiled(manifest) if manifest else _exported(info.training, detector.engine)),
        "training": dict(info.training),
    }


def versions(engine: str, library: str | None) -> dict[str, str]:
    """Of Python and the libraries that computed, by name; library: the engine's module."""
    return {
        "edge_passd": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        **({engine: str(import_module(library).__version__)} if library else {}),
    }


def _compiled(manifest: Manifest) -> dict[str, Any]:
    return {"int8_share": manifest.int8_share, "parity": [dict(each) for each in manifest.parity]}


def _exported(training: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """What `export` recorded for this engine in the free-form provenance, where it did."""
    shares = [
        each["integer_macs"] / each["macs"]
        for each in _of_engine(training, "int8_share", engine)
        if is_size(each.get("integer_macs")) and is_count(each.get("macs"))
    ]
    return {
        "int8_share": shares[0] if shares else None,
        "parity": _of_engine(training, "parity", engine),
    }


def _of_engine(training: Mapping[str, Any], key: str, engine: str) -> list[dict[str, Any]]:
    records = training.get(key, [])
    if not is_list_of(is_object)(records):
        return []
    return [each for each in records if each.get("engine") == engine]
