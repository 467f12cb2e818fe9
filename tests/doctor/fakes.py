"""Engines that go wrong in every way, and calls for a child process; imported there by name."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_passd.doctor.runners import Arrays, Model, onnxruntime_model

LONG_S = 60.0


def echo(value: object) -> object:
    return value


def aborts(*_: object) -> Model:
    os.abort()


def hangs(*_: object) -> Model:
    time.sleep(LONG_S)
    raise AssertionError("was not ended")


def leaves(*_: object) -> Model:
    sys.exit(3)


def refuses(*_: object) -> Model:
    raise RuntimeError("first line\nof operator Foo\n-- No conversion rule for Foo")


def shouts(*_: object) -> str:
    os.write(1, b"noise on stdout")
    os.write(2, b"noise on stderr")
    return "quiet"


def process_id(*_: object) -> int:
    return os.getpid()


def nan_model(path: Path) -> Model:
    return _changed(path, lambda value: np.full_like(value, np.nan))


def wrong_model(path: Path) -> Model:
    return _changed(path, lambda value: value + 100)


def flat_model(path: Path) -> Model:
    return _changed(path, np.ravel)


def silent_model(path: Path) -> Model:
    return Model(onnxruntime_model(path).inputs, lambda inputs: {})


def crashes_on_topk(path: Path) -> Model:
    return aborts() if path.stem == "topk" else onnxruntime_model(path)


def _changed(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Model:
    model = onnxruntime_model(path)

    def run(inputs: Arrays) -> Arrays:
        return {
            name: change(value) if value.dtype.kind == "f" else value
            for name, value in model.run(inputs).items()
        }

    return Model(model.inputs, run)
