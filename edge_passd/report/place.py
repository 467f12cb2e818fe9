"""Names beside marks, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Box = tuple[float, float, float, float]  # x1 y1 x2 y2, y upwards


class Place(NamedTuple):
    """Where the lower left corner of a name goes, from its mark."""

    dx: float
    dy: float


def place(
    marks: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    obstacles: Sequence[Box] = (),
    radius: float = 6.0,
) -> list[Place | None]:
    """For each mark where its name goes, within the frame, free of marks, obstacles and others.

    marks: positions. sizes: width and height of each name. The first marks choose first; None
    where there is no room. All in one unit.
    """
    taken = [(x - radius, y - radius, x + radius, y + radius) for x, y in marks]
    taken += obstacles
    places: list[Place | None] = []
    for (x, y), (width, height) in zip(marks, sizes, strict=True):
        found = None
        for dx, dy in _candidates(width, height, radius):
            box = (x + dx, y + dy, x + dx + width, y + dy + height)
            if _is_within(box, frame) and not any(overlap(box, other) for other in taken):
                found = Place(dx, dy)
                taken.append(box)
                break
        places.append(found)
    return places


def overlap(first: Box, second: Box) -> bool:
    """Whether two boxes share more than a border."""
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _candidates(width: float, height: float, radius: float) -> list[tuple[float, float]]:
    gap = radius + 2
    beside = [(gap, -height / 2), (-gap - width, -height / 2)]
    # Centred, then with the mark towards an end of the name, then with a corner at the mark.
    shares = (0.5, 0.25, 0.75, 0.1, 0.9)
    along = [*(-share * width for share in shares), radius / 2, -width - radius / 2]
    return [*beside, *((dx, dy) for dx in along for dy in (gap, -gap - height))]


def _is_within(box: Box, frame: Box) -> bool:
    return frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3]
