"""Made-up films with known truth, and what a detector might see of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_passd.detections import Detections

CLASSES = ("dog", "cat", "sheep", "horse", "cow")
WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Step:
    """One frame. ids: (N,) int64, boxes: (N, 4) float64, the truth; seen: what was detected."""

    time_s: float
    ids: np.ndarray
    boxes: np.ndarray
    seen: Detections


@dataclass(frozen=True)
class Difficulty:
    """missed: share of boxes not detected. weak: of boxes with a low score. false: of frames with a
    detection of nothing. noise: of box edges, as a share of the side. confused: of boxes with
    another class. fps: of the film; dropped: share of frames that a live source skips.
    """

    missed: float = 0.0
    weak: float = 0.0
    false: float = 0.0
    noise: float = 0.02
    confused: float = 0.0
    fps: float = 15.0
    dropped: float = 0.0


def detections(rows: list[tuple[tuple[float, ...], float, int]]) -> Detections:
    """Of (box, score, label), best first."""
    rows = sorted(rows, key=lambda row: -row[1])
    return Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int64),
        CLASSES,
    )


def film(
    objects: int, seconds: float, difficulty: Difficulty, rng: np.random.Generator
) -> list[Step]:
    """Objects that wander and bounce off the edges; who is covered by a nearer one is not seen."""
    sides = rng.uniform(60, 110, objects)
    shapes = np.stack([sides * rng.uniform(0.9, 1.4, objects), sides], axis=-1)
    places = rng.uniform([60, 60], [WIDTH - 60, HEIGHT - 60], (objects, 2))
    speeds = rng.normal(0, 70, (objects, 2))
    labels = rng.integers(0, 2, objects)
    steps = []
    for index in range(round(seconds * difficulty.fps)):
        speeds += rng.normal(0, 12, speeds.shape)
        inwards = np.sign([WIDTH / 2, HEIGHT / 2] - places) * np.abs(speeds)
        at_edge = (places < 40) | (places > [WIDTH - 40, HEIGHT - 40])
        speeds = np.where(at_edge, inwards, speeds)
        places = places + speeds / difficulty.fps
        if index and rng.random() < difficulty.dropped:
            continue
        boxes = np.concatenate([places - shapes / 2, places + shapes / 2], axis=-1)
        boxes = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        shown = np.array([_covered(boxes, i) < 0.6 for i in range(objects)])
        seen = _detect(boxes[shown], labels[shown], difficulty, rng)
        time_s = index / difficulty.fps
        steps.append(Step(time_s, np.flatnonzero(shown), boxes[shown], seen))
    return steps


def _covered(boxes: np.ndarray, index: int) -> float:
    """The largest share of a box that one box before it, of a higher number, covers."""
    box, nearer = boxes[index], boxes[index + 1 :]
    low, high = np.maximum(nearer[:, :2], box[:2]), np.minimum(nearer[:, 2:], box[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1) / np.prod(box[2:] - box[:2])
    return float(shared.max(initial=0))


def _detect(
    boxes: np.ndarray, labels: np.ndarray, difficulty: Difficulty, rng: np.random.Generator
) -> Detections:
    rows = []
    for box, label in zip(boxes, labels.tolist(), strict=True):
        if rng.random() < difficulty.missed:
            continue
        side = np.sqrt(np.prod(box[2:] - box[:2]))
        weak = rng.random() < difficulty.weak
        score = rng.uniform(0.15, 0.35) if weak else rng.uniform(0.5, 0.95)
        seen_as = (label + 1) % len(CLASSES) if rng.random() < difficulty.confused else label
        rows.append((tuple(box + rng.normal(0, difficulty.noise * side, 4)), score, seen_as))
    if rng.random() < difficulty.false:
        x, y = rng.uniform(0, WIDTH - 80), rng.uniform(0, HEIGHT - 80)
        rows.append(((x, y, x + 80, y + 80), rng.uniform(0.4, 0.6), 0))
    return detections(rows)
