"""Who is faster and who is better: the Pareto line."""

from __future__ import annotations

from collections.abc import Sequence


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Of (cost, gain) points: whether no other costs no more and gains no less, one of it truly.

    Equal points stand and fall together.
    """
    best = float("-inf")
    on_line = set()
    for point in sorted(set(points), key=lambda each: (each[0], -each[1])):
        if point[1] > best:
            best = point[1]
            on_line.add(point)
    return [point in on_line for point in points]
