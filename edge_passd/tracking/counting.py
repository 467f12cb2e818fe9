"""Who crosses a line, who is in a zone: tracked detections become events and counts.

Where something is, is where it stands: the middle of the lower edge of its box. A box trembles, so
a line counts only who is clearly on its other side, and a zone is left only by who is clearly
outside: further than a tenth of the side of the box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from edge_passd.boxes import area
from edge_passd.detections import Detections
from edge_passd.drawing import draw_line, draw_zone
from edge_passd.tracking.clock import LOST_S, Clock
from edge_passd.tracking.regions import Line, Zone, require_different_names, to_fractions

Event = dict[str, Any]

CLEARLY = 0.1  # of the side of a box, the geometric mean of width and height


class Seen(NamedTuple):
    """One tracked detection. x, y: where it stands, pixels. margin: its CLEARLY, pixels."""

    id: int
    label: str
    x: float
    y: float
    margin: float


class LineCounter:
    """Counts the crossings of one line. points: (2, 2) float64, pixels."""

    def __init__(self, name: str, points: np.ndarray) -> None:
        self.name = name
        self.counts = {"in": 0, "out": 0}
        self.resize(points)

    def resize(self, points: np.ndarray) -> None:
        """Go on with the line elsewhere: the picture has another size."""
        self.points = points
        # Where each id was last clearly on one side: x, y and the distance, positive on the right.
        self._last: dict[int, tuple[float, float, float]] = {}

    def update(self, seen: Iterable[Seen]) -> list[Event]:
        """The crossings that a frame completes."""
        (ax, ay), (bx, by) = self.points.tolist()
        dx, dy = bx - ax, by - ay
        length = float(np.hypot(dx, dy))
        events = []
        for each in seen:
            distance = (dx * (each.y - ay) - dy * (each.x - ax)) / length
            if abs(distance) <= each.margin:
                continue
            before = self._last.get(each.id)
            self._last[each.id] = each.x, each.y, distance
            if before is None or (before[2] > 0) == (distance > 0):
                continue
            share = before[2] / (before[2] - distance)
            x = before[0] + share * (each.x - before[0])
            y = before[1] + share * (each.y - before[1])
            if 0 <= (dx * (x - ax) + dy * (y - ay)) / length**2 <= 1:
                events.append(self._count(each, "in" if distance > 0 else "out"))
        return events

    def forget(self, ids: Iterable[int]) -> list[Event]:
        """Ids that do not come back."""
        for each in ids:
            self._last.pop(each, None)
        return []

    def _count(self, seen: Seen, direction: str) -> Event:
        self.counts[direction] += 1
        return {
            "type": "line",
            "name": self.name,
            "id": seen.id,
            "label": seen.label,
            "direction": direction,
            "counts": dict(self.counts),
        }


class ZoneCounter:
    """Tells who is in one zone. points: (P, 2) float64, pixels."""

    def __init__(self, name: str, points: np.ndarray) -> None:
        self.name = name
        self.inside: dict[int, str] = {}
        self.resize(points)

    def resize(self, points: np.ndarray) -> None:
        """Go on with the zone elsewhere: the picture has another size."""
        self.points = points
        self._polygon = points.astype(np.float32)

    def update(self, seen: Iterable[Seen]) -> list[Event]:
        """Who enters and who leaves in a frame."""
        events = []
        for each in seen:
            depth = cv2.pointPolygonTest(self._polygon, (each.x, each.y), True)
            if each.id not in self.inside and depth >= 0:
                self.inside[each.id] = each.label
                events.append(self._event(each.id, each.label, "enter"))
            elif each.id in self.inside and depth < -each.margin:
                del self.inside[each.id]
                events.append(self._event(each.id, each.label, "leave"))
        return events

    def forget(self, ids: Iterable[int]) -> list[Event]:
        """Ids that do not come back: those that were inside have left."""
        return [
            self._event(each, self.inside.pop(each), "leave") for each in ids if each in self.inside
        ]

    def _event(self, id_: int, label: str, event: str) -> Event:
        return {
            "type": "zone",
            "name": self.name,
            "id": id_,
            "label": label,
            "event": event,
            "inside": len(self.inside),
        }


@dataclass(frozen=True)
class Counts:
    """What was counted up to a frame; it does not change when the counting goes on.

    lines: name, (2, 2) points in pixels, counts in and out. zones: name, (P, 2) points in pixels,
    how many are inside.
    """

    lines: tuple[tuple[str, np.ndarray, int, int], ...]
    zones: tuple[tuple[str, np.ndarray, int], ...]

    def draw(self, image: np.ndarray) -> np.ndarray:
        """A picture, uint8 BGR: `image` (H, W, 3) with the lines, the zones and the counts.

        Draw boxes onto it afterwards, so that their labels lie on top.
        """
        for name, points, inside in self.zones:
            image = draw_zone(image, points, f"{name} {inside}")
        for name, points, entered, left in self.lines:
            image = draw_line(image, points, f"{name} in {entered} out {left}")
        return image


class Counters:
    """Counts at lines and zones.

    lost_s: seconds after which an id out of sight has left; that of the tracker.
    Raises BadInput when two of them have the same name.
    """

    def __init__(
        self, lines: Sequence[Line] = (), zones: Sequence[Zone] = (), lost_s: float = LOST_S
    ) -> None:
        self._regions = (*lines, *zones)
        require_different_names(self._regions)
        self._lost_s = lost_s
        self._clock = Clock()
        self._size: tuple[int, int] | None = None
        self._counters: tuple[LineCounter | ZoneCounter, ...] = ()
        self._fractions: tuple[np.ndarray, ...] = ()
        self._last_seen: dict[int, tuple[float, int]] = {}

    def update(
        self, detections: Detections, time_s: float, size: tuple[int, int]
    ) -> tuple[Event, ...]:
        """What happened by this frame, ready for JSON.

        {"type": "line", "name", "id", "label", "direction": "in" or "out", "counts": {"in", "out"}}
        for each crossing, counts with it; {"type": "zone", "name", "id", "label", "event": "enter"
        or "leave", "inside"} for a zone, `inside` after it. Who is lost inside a zone leaves it.

        detections: with ids, as `Tracker.update` gives them. time_s: of the frame, seconds.
        size: width and height of the frame, pixels. Lines and zones in pixels are in those of the
        first frame; when the size changes they are scaled along.
        Raises BadInput for a line or zone outside the first frame, ValueError without ids.
        """
        if detections.ids is None:
            raise ValueError("detections without ids cannot be counted: track them first")
        self._clock.tick(time_s)
        self._fit(size)
        seen = _seen(detections, detections.ids)
        for each in seen:
            self._last_seen[each.id] = self._clock.seconds, self._clock.frames
        gone = [
            i
            for i, when in self._last_seen.items()
            if self._clock.is_lost(*when, lost_s=self._lost_s)
        ]
        for lost in gone:
            del self._last_seen[lost]
        return tuple(
            event
            for counter in self._counters
            for event in (*counter.update(seen), *counter.forget(gone))
        )

    @property
    def counts(self) -> Counts:
        """As they are now; nothing before the first frame."""
        lines = [each for each in self._counters if isinstance(each, LineCounter)]
        zones = [each for each in self._counters if isinstance(each, ZoneCounter)]
        return Counts(
            tuple(
                (each.name, each.points, each.counts["in"], each.counts["out"]) for each in lines
            ),
            tuple((each.name, each.points, len(each.inside)) for each in zones),
        )

    def _fit(self, size: tuple[int, int]) -> None:
        """Place lines and zones in a picture of that size."""
        if size == self._size:
            return
        if self._size is None:
            self._fractions = tuple(to_fractions(each, *size) for each in self._regions)
            self._counters = tuple(
                (LineCounter if isinstance(region, Line) else ZoneCounter)(region.name, points)
                for region, points in zip(self._regions, self._fractions, strict=True)
            )
        for counter, points in zip(self._counters, self._fractions, strict=True):
            counter.resize(points * size)
        self._size = size


def _seen(detections: Detections, ids: np.ndarray) -> tuple[Seen, ...]:
    boxes = detections.boxes.astype(np.float64)
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=-1)
    margins = CLEARLY * np.sqrt(area(boxes))
    return tuple(
        Seen(id_, name, x, y, margin)
        for id_, name, (x, y), margin in zip(
            ids.tolist(), detections.names, feet.tolist(), margins.tolist(), strict=True
        )
    )
