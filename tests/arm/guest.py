"""What the tests run in the ARM system's Python."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from arm.emulator import run_python

DETECT = """
import json, sys
from edge_passd import Detector
model, photo = sys.argv[1:]
detector = Detector(model or None, threads=1)
print(json.dumps([detector.engine, detector.detect(photo).to_dict()]))
"""

INFER = """
import sys
from pathlib import Path
import numpy as np
from edge_passd.engines.table import load_engine
model, threads, image, outputs = sys.argv[1:]
engine = load_engine(Path(model), threads=int(threads))
boxes, scores = engine.run(np.load(image))
np.savez(outputs, boxes=boxes, scores=scores)
"""


def detect(model: Path | None, photo: Path, cpu: str) -> tuple[str, list[dict]]:
    """The engine's name and `Detections.to_dict` of a photo file; None is the shipped model."""
    engine, found = json.loads(run_python(["-c", DETECT, str(model or ""), photo], cpu).stdout)
    return engine, found


def infer(
    model: Path, image: np.ndarray, cpu: str, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """`Engine.run` of the engine that takes the model."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder) / "image.npy", Path(folder) / "outputs.npz"
        np.save(given, image)
        run_python(["-c", INFER, model, str(threads), given, got], cpu)
        with np.load(got) as outputs:
            return outputs["boxes"], outputs["scores"]
