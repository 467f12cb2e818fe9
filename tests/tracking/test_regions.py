from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from edge_passd.tracking import Counters, Line, Zone, parse_line, parse_zone
from edge_passd.tracking.regions import MOST_POINTS, to_fractions


def test_pixels_or_fractions() -> None:
    pixels, fractions = parse_line("door:10,20,300,20.5"), parse_line("door:0,0.5,1,0.5")
    assert pixels == Line("door", ((10, 20), (300, 20.5)))
    assert not pixels.in_fractions
    assert fractions.in_fractions
    np.testing.assert_allclose(to_fractions(pixels, 400, 100), [[0.025, 0.2], [0.75, 0.205]])
    np.testing.assert_allclose(to_fractions(fractions, 400, 100), [[0, 0.5], [1, 0.5]])


@pytest.mark.parametrize(
    "points",
    ["0,0,1,0,0.5,1", "10,10,90,10,90,90,10,90", "0,0,50,0,50,50,25,10,0,50"],
    ids=["triangle", "square", "hollow"],
)
def test_zones(points: str) -> None:
    zone = parse_zone(f"meadow:{points}")
    assert zone == Zone("meadow", zone.points)
    assert [value for point in zone.points for value in point] == [*map(float, points.split(","))]


BAD_LINES = {
    "no name": ("10,20,30,40", "no name and colon"),
    "an empty name": (":10,20,30,40", "the name of line"),
    "a name with blanks": ("my door:10,20,30,40", "the name of line"),
    "one point": ("door:10,20", "has 1 points, not two"),
    "three points": ("door:10,20,30,40,50,60", "has 3 points, not two"),
    "an x without a y": ("door:10,20,30", "an x without a y"),
    "nothing": ("door:", "is no number"),
    "a word": ("door:10,20,30,left", "'left' is no number"),
    "not a number": ("door:10,20,30,nan", "'nan' is no number"),
    "infinite": ("door:10,20,30,inf", "'inf' is no number"),
    "negative": ("door:10,20,30,-4", "'-4' is no number"),
    "no length": ("door:10,20,10,20", "begins where it ends"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_what_is_no_line(name: str) -> None:
    text, told = BAD_LINES[name]
    with pytest.raises(BadInput, match=told) as caught:
        parse_line(text)
    assert len(str(caught.value).splitlines()) == 1


BAD_ZONES = {
    "two points": ("meadow:0,0,9,9", "has 2 points"),
    "too many points": ("meadow:" + ",".join(["0,5"] * (MOST_POINTS + 1)), f"3 to {MOST_POINTS}"),
    "a point twice": ("meadow:0,0,9,0,9,9,0,0", "points 1 and 4 are the same"),
    "a bow tie": ("meadow:0,0,9,9,9,0,0,9", "edges 1 and 3 cross or touch"),
    "a corner on another edge": ("meadow:0,0,10,0,10,10,5,0,0,10", "cross or touch"),
    "no area": ("meadow:0,0,5,5,10,10", "cross or touch"),
    "a spike": ("meadow:0,0,10,0,10,10,10,4", "cross or touch"),
}


@pytest.mark.parametrize("name", BAD_ZONES)
def test_what_is_no_zone(name: str) -> None:
    text, told = BAD_ZONES[name]
    with pytest.raises(BadInput, match=told) as caught:
        parse_zone(text)
    assert len(str(caught.value).splitlines()) == 1


@given(
    text=st.text(max_size=30) | st.from_regex(r"[a-z]{0,2}:?(-?\d{1,3}\.?,?){0,9}", fullmatch=True)
)
def test_any_text_is_a_region_or_one_line_of_complaint(text: str) -> None:
    for parse in (parse_line, parse_zone):
        outcome = attempt(parse, text)
        if isinstance(outcome, str):
            assert len(outcome.splitlines()) == 1
        else:
            assert np.isfinite(outcome.points).all()


def attempt(parse: Callable[[str], Line | Zone], text: str) -> Line | Zone | str:
    """What is read, or the complaint."""
    try:
        return parse(text)
    except BadInput as error:
        return str(error)


COORDINATES = st.integers(0, 12)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=6, unique=True)


@given(points=POINTS)
def test_a_zone_is_refused_exactly_when_its_edge_meets_itself(points: list) -> None:
    """By what all pairs of edges have in common, in exact fractions."""
    text = "meadow:" + ",".join(f"{x},{y + 20}" for x, y in points)
    assert isinstance(attempt(parse_zone, text), str) == meets_itself(points)


def meets_itself(points: list[tuple[int, int]]) -> bool:
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    for i, first in enumerate(edges):
        for second in edges[i + 1 :]:
            common = common_points(*first, *second)
            if not common <= {*first} & {*second}:
                return True
            if not {*first} & {*second} and common:
                return True
    return False


def common_points(a: tuple, b: tuple, c: tuple, d: tuple) -> set:
    """Where two stretches meet, in exact fractions; a shared stretch gives its two ends."""
    r, s = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1])
    denominator = r[0] * s[1] - r[1] * s[0]
    way = (c[0] - a[0], c[1] - a[1])
    if denominator:
        t = Fraction(way[0] * s[1] - way[1] * s[0], denominator)
        u = Fraction(way[0] * r[1] - way[1] * r[0], denominator)
        return {(a[0] + t * r[0], a[1] + t * r[1])} if 0 <= t <= 1 and 0 <= u <= 1 else set()
    if way[0] * r[1] - way[1] * r[0]:
        return set()
    low, high = max(min(a, b), min(c, d)), min(max(a, b), max(c, d))
    return {low, high} if low <= high else set()


@pytest.mark.parametrize("names", [("a", "a", "b"), ("a", "b", "a"), ("b", "a", "a")])
def test_two_of_one_name(names: tuple[str, str, str]) -> None:
    lines = [parse_line(f"{name}:0,0,1,1") for name in names[:2]]
    with pytest.raises(BadInput, match="'a'"):
        Counters(lines, [parse_zone(f"{names[2]}:0,0,1,0,1,1")])
