"""What the results of the last half minute say: speed, latency, detections, lines and zones."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import floor, log10
from threading import Lock
from typing import Any

import numpy as np

from edge_passd.sinks.sink import Result
from edge_passd.sources.source import SourceState
from edge_passd.tracking import Counts

WAITING, LIVE, STALLED, RECONNECTING = "waiting", "live", "stalled", "reconnecting"
WINDOW_S = 30.0
RECENT_S = 5.0  # of the rate, which is to follow at once
STALLED_S = 5.0
BARS = 24  # of the histogram
_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15)  # ends of its axis; 15 where rounding tops 10
_MOST_ROWS = 4096  # of the window, however fast the results come
_LAST_EVENTS = 8
_MANY_INTERVALS = 3  # without a result: a slow model is not stalled


@dataclass(frozen=True)
class _Row:
    """Of one result. counts: detections by label."""

    at_s: float
    latency_s: float
    counts: np.ndarray


class Figures:
    """Takes results in one thread and tells about them in another; time is time.monotonic()."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: deque[_Row] = deque(maxlen=_MOST_ROWS)
        self._frames = 0
        self._detections: dict[str, int] = {}  # since the start
        self._classes: tuple[str, ...] = ()
        self._from_capture = False
        self._counts: Counts | None = None
        self._events: deque[tuple[float, dict[str, Any]]] = deque(maxlen=_LAST_EVENTS)

    def add(self, result: Result, now_s: float) -> None:
        """Count a result."""
        classes = result.detections.classes
        counts = np.bincount(result.detections.labels, minlength=len(classes))
        latency_s = result.infer_s if result.latency_s is None else result.latency_s
        with self._lock:
            self._classes, self._from_capture = classes, result.latency_s is not None
            self._frames += 1
            self._rows.append(_Row(now_s, latency_s, counts))
            while self._rows[0].at_s < now_s - WINDOW_S:
                self._rows.popleft()
            for label in np.flatnonzero(counts).tolist():
                name = classes[label]
                self._detections[name] = self._detections.get(name, 0) + int(counts[label])
            self._counts = result.counts
            self._events.extend((now_s, event) for event in result.events)

    def status(self, state: SourceState, now_s: float) -> str:
        """WAITING for the first result, LIVE, STALLED or RECONNECTING."""
        with self._lock:
            rows, frames = list(self._rows), self._frames
        if not state.connected:
            return RECONNECTING
        if not frames:
            return WAITING
        intervals = (rows[-1].at_s - rows[0].at_s) / (len(rows) - 1) if len(rows) > 1 else 0.0
        patience_s = max(STALLED_S, _MANY_INTERVALS * intervals)
        return LIVE if now_s - rows[-1].at_s <= patience_s else STALLED

    def to_dict(self, now_s: float) -> dict[str, Any]:
        """For JSON. frames, detections: since the start; age_s: of the newest result, or None.

        latency: of the window in milliseconds, from capture where the source is live, else of the
        computation; None without results. classes: detections in the newest frame, and in a frame
        on average. places: {"type": "line", "name", "in", "out"} and {"type": "zone", "name",
        "inside"}. events: the last ones, newest first, each with its age_s.
        """
        with self._lock:
            rows, frames, classes = list(self._rows), self._frames, self._classes
            counts = self._counts
            events = [event | {"age_s": round(now_s - at, 1)} for at, event in self._events]
            detections, from_capture = dict(self._detections), self._from_capture
        newest = rows[-1] if rows else None
        rows = [row for row in rows if row.at_s >= now_s - WINDOW_S]
        return {
            "frames": frames,
            "age_s": round(now_s - newest.at_s, 2) if newest else None,
            "fps": round(_rate([row.at_s for row in rows if row.at_s >= now_s - RECENT_S]), 1),
            "latency": _latency([row.latency_s for row in rows], from_capture),
            "classes": _per_class(classes, newest.counts if newest else None, rows),
            "detections": detections,
            "places": _places(counts) if counts else [],
            "events": events[::-1],
        }


def histogram(values_ms: np.ndarray) -> tuple[float, list[int]]:
    """(K,) milliseconds, K > 0, to the upper end, a round number, and the counts of BARS bars.

    The end leaves out the slowest hundredth, which the last bar holds: one hiccup must not squeeze
    all the others into the first bar.
    """
    high = max(float(np.percentile(values_ms, 99)), 1.0)
    unit = 10 ** floor(log10(high))
    upper = next(step * unit for step in _STEPS if step * unit >= high)
    counts = np.histogram(np.clip(values_ms, 0, upper), BARS, (0, upper))[0]
    return float(upper), counts.tolist()


def _rate(times_s: list[float]) -> float:
    span = times_s[-1] - times_s[0] if times_s else 0.0
    return (len(times_s) - 1) / span if span > 0 else 0.0


def _latency(values_s: list[float], from_capture: bool) -> dict[str, Any] | None:
    if not values_s:
        return None
    values_ms = np.asarray(values_s) * 1000
    upper, counts = histogram(values_ms)
    p50, p90 = np.percentile(values_ms, (50, 90)).round(1).tolist()
    of = "capture" if from_capture else "computation"
    return {"of": of, "p50_ms": p50, "p90_ms": p90, "upper_ms": upper, "counts": counts}


def _per_class(
    classes: tuple[str, ...], newest: np.ndarray | None, rows: list[_Row]
) -> list[dict[str, Any]]:
    if newest is None:
        return []
    means = np.mean([row.counts for row in rows], axis=0) if rows else np.zeros(len(classes))
    return [
        {"name": name, "now": int(now), "mean": round(float(mean), 2)}
        for name, now, mean in zip(classes, newest, means, strict=True)
    ]


def _places(counts: Counts) -> list[dict[str, Any]]:
    lines = [
        {"type": "line", "name": name, "in": entered, "out": left}
        for name, _, entered, left in counts.lines
    ]
    zones = [{"type": "zone", "name": name, "inside": inside} for name, _, inside in counts.zones]
    return [*lines, *zones]
