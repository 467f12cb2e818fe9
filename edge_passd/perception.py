"""A frame to a result: detect, keep what was asked for, follow it, count it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edge_passd.detections import Detections, class_labels
from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.sinks.sink import Result
from edge_passd.sources.source import Frame
from edge_passd.tracking import Counters, Tracker, TrackerOptions, parse_line, parse_zone


class Perception:
    """Call it with each frame, in order.

    conf: least score to keep, 0-1. classes: names to keep, empty for all. track: give ids.
    lines, zones: where to count, as `tracking.parse_line` and `parse_zone` read them; they need
    `track`. Raises BadInput for an unknown class, a bad line or zone, or one without `track`.
    """

    def __init__(
        self,
        detector: Detector,
        conf: float = 0.0,
        classes: Sequence[str] = (),
        track: bool = False,
        lines: Sequence[str] = (),
        zones: Sequence[str] = (),
    ) -> None:
        class_labels(classes, detector.classes)
        if (lines or zones) and not track:
            raise BadInput("--line and --zone count what is tracked; give --track too")
        self._detector, self._conf, self._classes = detector, conf, tuple(classes) or None
        low = min(conf, TrackerOptions.low)
        self._tracker = Tracker(TrackerOptions(conf=conf, low=low)) if track else None
        self._counters = Counters(
            [parse_line(line) for line in lines], [parse_zone(zone) for zone in zones]
        )

    def __call__(self, frame: Frame) -> Result:
        start = time.monotonic()
        found = self._detector.detect(frame.image)
        if self._tracker is None:
            found = found.filter(self._conf, self._classes)
        infer_s = time.monotonic() - start
        events: tuple[dict, ...] = ()
        if self._tracker is not None:
            found, events = self._follow(self._tracker, found, frame)
        arrived = frame.captured_s
        latency_s = None if arrived is None else time.monotonic() - arrived
        return Result(frame, found, infer_s, latency_s, events, self._counters.counts)

    def _follow(
        self, tracker: Tracker, found: Detections, frame: Frame
    ) -> tuple[Detections, tuple[dict, ...]]:
        # With those below the least score: a track goes on through a moment of doubt.
        tracked = tracker.update(found.filter(classes=self._classes), frame.time_s)
        height, width = frame.image.shape[:2]
        return tracked, self._counters.update(tracked, frame.time_s, (width, height))
