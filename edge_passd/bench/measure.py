"""One detection on the clock: pre-processing, inference and post-processing apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_passd.any_detector import AnyDetector
from edge_passd.detections import Detections

Clock = Callable[[], float]  # seconds since some moment


class Shot(NamedTuple):
    """One detection: when it started on the clock, and what each stage took; all in seconds."""

    at: float
    pre: float
    infer: float
    post: float

    @property
    def seconds(self) -> float:
        """From an image in memory to its detections."""
        return self.pre + self.infer + self.post


Turn = Callable[[], Sequence[Shot]]  # the detections that are made without a pause


@dataclass(frozen=True)
class Loaded:
    """A detector and what its start took.

    load_s: the engine's library and the model. first_s: the first detection. detections: how many
    there are in a photo, on average; what post-processing takes hangs on it.
    """

    detector: AnyDetector
    load_s: float
    first_s: float
    detections: float


def timed_detect(
    detector: AnyDetector, image: np.ndarray, clock: Clock = time.perf_counter
) -> tuple[Detections, Shot]:
    """As `Detector.detect` of an image array, and its times."""
    started = clock()
    tensor, placement = detector.preprocess(image)
    prepared = clock()
    outputs = detector.infer(tensor)
    inferred = clock()
    detections = detector.postprocess(*outputs, placement)
    done = clock()
    return detections, Shot(started, prepared - started, inferred - prepared, done - inferred)


def load(
    open_detector: Callable[[], AnyDetector],
    images: Sequence[np.ndarray],
    clock: Clock = time.perf_counter,
) -> Loaded:
    """Load a model, raising what `open_detector` raises, and detect once in each image."""
    started = clock()
    detector = open_detector()
    loaded = clock()
    results = [timed_detect(detector, image, clock) for image in images]
    count = float(np.mean([len(detections) for detections, _ in results]))
    return Loaded(detector, loaded - started, results[0][1].seconds, count)


def turn_of(
    detector: AnyDetector, images: Sequence[np.ndarray], clock: Clock = time.perf_counter
) -> Turn:
    """A turn: one detection in each image, in order, so that all of them count alike."""
    return lambda: [timed_detect(detector, image, clock)[1] for image in images]
