"""The Pareto line by its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_passd.report.rank import pareto

POINTS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), max_size=30)


def test_by_hand() -> None:
    points = [(1, 5), (2, 7), (3, 6), (4, 7), (5, 9), (1, 4), (2, 7)]
    assert pareto(points) == [True, True, False, False, True, False, True]


@given(points=POINTS)
def test_a_point_is_on_the_line_unless_another_beats_it(points: list[tuple[int, int]]) -> None:
    def beats(first: tuple[int, int], second: tuple[int, int]) -> bool:
        return first != second and first[0] <= second[0] and first[1] >= second[1]

    expected = [not any(beats(other, point) for other in points) for point in points]
    assert pareto(points) == expected


@given(points=POINTS.filter(bool), data=st.data())
def test_order_and_scale_change_nothing(points: list[tuple[int, int]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(range(len(points))))
    line = pareto(points)
    assert pareto([points[i] for i in shuffled]) == [line[i] for i in shuffled]
    assert pareto([(x**3, 2.0**y) for x, y in points]) == line
    assert any(line)
