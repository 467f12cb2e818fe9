"""Names beside marks: none over another, none outside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_passd.report.place import overlap, place

FRAME = (0.0, 0.0, 200.0, 120.0)
RADIUS = 5.0
MARKS = st.lists(
    st.tuples(st.floats(0, 200), st.floats(0, 120), st.floats(10, 90)), min_size=1, max_size=15
)


@given(marks=MARKS)
def test_names_meet_no_mark_no_name_and_no_border(marks: list[tuple[float, float, float]]) -> None:
    positions = [(x, y) for x, y, _ in marks]
    places = place(positions, [(width, 11.0) for *_, width in marks], FRAME, (), RADIUS)
    boxes = [
        (x + at.dx, y + at.dy, x + at.dx + width, y + at.dy + 11)
        for (x, y, width), at in zip(marks, places, strict=True)
        if at is not None
    ]
    for number, box in enumerate(boxes):
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= 200
        assert box[3] <= 120
        assert not any(overlap(box, other) for other in boxes[:number])
        for x, y in positions:
            assert not overlap(box, (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS))


def test_alone_it_stands_to_the_right_and_at_the_edge_to_the_left() -> None:
    (right,) = place([(50.0, 60.0)], [(40.0, 10.0)], FRAME)
    assert right is not None
    assert right.dx > 0
    (left,) = place([(195.0, 60.0)], [(40.0, 10.0)], FRAME)
    assert left is not None
    assert left.dx < -40


def test_without_room_there_is_no_name() -> None:
    assert place([(100.0, 60.0)], [(300.0, 10.0)], FRAME) == [None]
    wall = (0.0, 0.0, 200.0, 120.0)
    assert place([(100.0, 60.0)], [(40.0, 10.0)], FRAME, [wall]) == [None]
