"""Latency of whole models: every engine that takes a file, in one process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import PHOTO
from bench.rounds import interleave
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input


class Candidate(NamedTuple):
    """An engine's name, as on the command line, and the file it loads."""

    engine: str
    path: Path


def latencies(
    candidates: Mapping[str, Candidate],
    classes: int,
    precision: str,
    threads: int,
    rounds: int,
    burst: int,
) -> dict[str, np.ndarray]:
    """Seconds of `Engine.run` on a photo: for each name a (rounds, burst) array.

    classes, precision: what every model must have, C with the background. Raises BadInput for a
    file that its engine cannot load, or that holds another kind of model.
    """
    runs = {}
    for name, (engine_name, path) in candidates.items():
        engine = load_engine(path, engine_name, threads)
        info = ModelInfo.from_json(engine.metadata, str(path))
        if (len(info.classes) + 1, info.precision) != (classes, precision):
            raise BadInput(
                f"{path}: C = {len(info.classes) + 1} in {info.precision}, where C = {classes} in "
                f"{precision} is measured; give another model"
            )
        image, _ = to_input(read_photo(PHOTO), info.input_size, info.resize)
        runs[name] = partial(engine.run, image)
    return interleave(runs, rounds, burst)
