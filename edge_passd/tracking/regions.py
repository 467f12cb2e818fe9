"""Lines and zones of the picture, as the user gives them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from edge_passd.errors import BadInput
from edge_passd.fields import WORD

Point = tuple[float, float]

# Enough for any outline drawn by hand.
MOST_POINTS = 100


@dataclass(frozen=True)
class Region:
    """A named outline: x, y of its points, as fractions of the picture or in its pixels."""

    name: str
    points: tuple[Point, ...]

    @property
    def in_fractions(self) -> bool:
        """Whether all numbers are at most 1, which means: fractions of width and height."""
        return all(value <= 1 for point in self.points for value in point)


class Line(Region):
    """Two points. Seen from the first towards the second, `in` is from the left to the right."""


class Zone(Region):
    """A polygon of three or more points; its edge belongs to it."""


def parse_line(text: str) -> Line:
    """A line from "NAME:x1,y1,x2,y2"; BadInput for anything else.

    The numbers are pixels of the picture, or fractions of it when all of them are at most 1.
    """
    what, form = "line", "NAME:x1,y1,x2,y2"
    name, points = _parse(text, what, form)
    if len(points) != 2:
        raise BadInput(f"line {name!r} has {len(points)} points, not two; give {form}")
    if points[0] == points[1]:
        raise BadInput(f"line {name!r} begins where it ends; give two different points")
    return Line(name, points)


def parse_zone(text: str) -> Zone:
    """A zone from "NAME:x,y,x,y,x,y...", numbers as in `parse_line`; BadInput for anything else.

    A zone has at least three different points, and its edge does not cross or touch itself.
    """
    what, form = "zone", "NAME:x,y,x,y,x,y..."
    name, points = _parse(text, what, form)
    if not 3 <= len(points) <= MOST_POINTS:
        wanted = f"3 to {MOST_POINTS}"
        raise BadInput(f"zone {name!r} has {len(points)} points, not {wanted}; give {form}")
    for first, second in combinations(range(len(points)), 2):
        if points[first] == points[second]:
            raise BadInput(
                f"zone {name!r}: points {first + 1} and {second + 1} are the same; "
                "leave one of them out"
            )
    if fault := _self_contact(points):
        raise BadInput(
            f"zone {name!r}: its edges {fault[0] + 1} and {fault[1] + 1} cross or touch; "
            "give its corners in the order in which they are met walking round it"
        )
    return Zone(name, points)


def require_different_names(regions: tuple[Region, ...]) -> None:
    """BadInput if two regions have the same name."""
    names = [region.name for region in regions]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"two lines or zones are called {name!r}; give each its own name")


def to_fractions(region: Region, width: int, height: int) -> np.ndarray:
    """(P, 2) float64 points of the region as fractions of a picture of that size, in pixels.

    Raises BadInput for a point in pixels that is outside.
    """
    points = np.array(region.points)
    if region.in_fractions:
        return points
    outside = ((points < 0) | (points > [width, height])).any(axis=1)
    if outside.any():
        x, y = points[outside][0]
        raise BadInput(
            f"{type(region).__name__.lower()} {region.name!r}: the point {x:g},{y:g} is outside "
            f"the picture of {width}x{height} pixels; give pixels within it, or fractions up to 1"
        )
    return points / [width, height]


def _parse(text: str, what: str, form: str) -> tuple[str, tuple[Point, ...]]:
    name, colon, rest = text.partition(":")
    if not colon:
        raise BadInput(f"{what} {text!r} has no name and colon before its points; give {form}")
    if not WORD.is_good(name):
        raise BadInput(f"the name of {what} {text!r} must be {WORD.wanted}; give {form}")
    values = [_number(word, what, name, form) for word in rest.split(",")]
    if len(values) % 2:
        raise BadInput(f"{what} {name!r} has {len(values)} numbers, an x without a y; give {form}")
    return name, tuple(zip(values[::2], values[1::2], strict=True))


def _number(word: str, what: str, name: str, form: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(
            f"{what} {name!r}: {word.strip()!r} is no number from 0 up; give {form} in pixels or "
            "as fractions of the picture"
        )
    return value


def _self_contact(points: tuple[Point, ...]) -> tuple[int, int] | None:
    """The first two edges of a polygon that meet elsewhere than in a corner they share."""
    edges = list(zip(points, (*points[1:], points[0]), strict=True))
    for i, j in combinations(range(len(edges)), 2):
        shared = [k for k in ((j, i), (i, j)) if (k[0] + 1) % len(edges) == k[1]]
        if shared:
            # Neighbours meet a second time only where one folds back onto the other.
            before, after = shared[0]
            (a, b), (_, c) = edges[before], edges[after]
            if _turn(a, b, c) == 0 and _along(a, b, c) < 0:
                return i, j
        elif _touch(*edges[i], *edges[j]):
            return i, j
    return None


def _turn(a: Point, b: Point, c: Point) -> float:
    """Positive where a, b, c turn one way, negative the other way, 0 on one straight line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _along(a: Point, b: Point, c: Point) -> float:
    """Negative where the way from b to c leads back towards a."""
    return (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])


def _touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the stretches from a to b and from c to d have a point in common."""
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _between(*end) for turn, end in zip(turns, ends, strict=True))


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether c, on the straight line through a and b, is between them."""
    return all(min(p, q) <= r <= max(p, q) for p, q, r in _axes(a, b, c))


def _axes(*points: Point) -> Iterator[tuple[float, ...]]:
    return zip(*points, strict=True)
