"""edge-passd: a small object detector on an edge board.

    from edge_passd import Detector
    detections = Detector().detect("street.jpg")

The names below load on first use, so that `import edge_passd` stays quick on a small board.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_passd.detections import Detections
    from edge_passd.detector import Detector

__version__ = "0.1.0"

__all__ = ["Detections", "Detector", "__version__"]

_HOMES = {"Detections": "edge_passd.detections", "Detector": "edge_passd.detector"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
