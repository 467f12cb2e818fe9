"""From nothing to a photo with boxes: `edge-passd run` as a user starts it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

import numpy as np

from bench import PHOTO
from bench.full_model import Candidate


def cold_starts(candidates: Mapping[str, Candidate], starts: int) -> dict[str, np.ndarray]:
    """Seconds from the start of a fresh process to its end: for each name a (starts,) array.

    They take turns. One run of each comes first that does not count, for the files to be in
    memory. Raises CalledProcessError for a run that fails.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + starts):
            for name, (engine, path) in candidates.items():
                command = [sys.executable, "-m", "edge_passd", "run", str(path), "--engine", engine]
                command += ["--source", str(PHOTO), "--save", f"{folder}/boxes.jpg"]
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - started)
    return {name: np.array(each[1:]) for name, each in seconds.items()}
