"""The filter against its textbook form: full matrices, float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.tracking import kalman

BOX = np.array([[200.0, 150.0, 80.0, 60.0]])
SECONDS = st.floats(0, 3)


class Textbook:
    """x = F x, P = F P F' + Q; K = P H' (H P H' + R)^-1, x += K (z - H x), P = (I - K H) P."""

    def __init__(self, box: np.ndarray) -> None:
        self.side = np.sqrt(box[2] * box[3])
        self.x = np.array([*box[:2], 0, 0])
        stds = np.repeat([kalman.MEASURED, kalman.FIRST_SPEED], 2) * self.side
        self.p = np.diag(stds**2)
        self.h = np.eye(2, 4)

    def predict(self, dt: float) -> None:
        f = np.eye(4) + dt * np.eye(4, k=2)
        noise = np.kron([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]], np.eye(2))
        self.x = f @ self.x
        self.p = f @ self.p @ f.T + (kalman.SPEED_CHANGE * self.side) ** 2 * noise

    def correct(self, box: np.ndarray) -> None:
        self.side = np.sqrt(box[2] * box[3])
        r = (kalman.MEASURED * self.side) ** 2 * np.eye(2)
        k = self.p @ self.h.T @ np.linalg.inv(self.h @ self.p @ self.h.T + r)
        self.x = self.x + k @ (box[:2] - self.h @ self.x)
        self.p = (np.eye(4) - k @ self.h) @ self.p


@pytest.mark.parametrize("seed", range(5))
def test_is_the_textbook_filter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform([50, 50, 40, 40], [500, 300, 120, 90], (3, 4))
    ours, theirs = kalman.start(boxes), [Textbook(box) for box in boxes]
    for _ in range(20):
        dt = rng.choice([0.0, 0.033, 0.2, 0.7])
        boxes = boxes + rng.normal(0, 2, boxes.shape)
        ours = kalman.correct(kalman.predict(ours, dt), boxes)
        for each, box in zip(theirs, boxes, strict=True):
            each.predict(dt)
            each.correct(box)
    for i, each in enumerate(theirs):
        state = [*ours.centres[i, :2], *ours.velocities[i]]
        np.testing.assert_allclose(state, each.x, rtol=1e-8, atol=1e-8)
        got = np.kron(ours.covariance[i][[0, 1, 1, 2]].reshape(2, 2), np.eye(2))
        np.testing.assert_allclose(got, each.p, rtol=1e-8, atol=1e-8)


@given(first=SECONDS, second=SECONDS)
def test_two_steps_are_one_long_step(first: float, second: float) -> None:
    moving = kalman.correct(kalman.predict(kalman.start(BOX), 0.1), BOX + np.array([9, -4, 0, 0]))
    twice = kalman.predict(kalman.predict(moving, first), second)
    once = kalman.predict(moving, first + second)
    np.testing.assert_allclose(twice.centres, once.centres)
    np.testing.assert_allclose(twice.covariance, once.covariance)


@given(seconds=st.floats(0.001, 3))
def test_what_is_not_measured_becomes_less_certain_and_what_is_more(seconds: float) -> None:
    known = kalman.correct(kalman.predict(kalman.start(BOX), 0.1), BOX)
    later = kalman.predict(known, seconds)
    assert (later.covariance[:, [0, 2]] > known.covariance[:, [0, 2]]).all()
    measured = kalman.correct(later, BOX)
    assert (measured.covariance[:, [0, 2]] < later.covariance[:, [0, 2]]).all()


@given(
    steps=st.lists(st.tuples(SECONDS, st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4))),
)
def test_stays_a_covariance_whatever_is_measured(steps: list[tuple[float, list[float]]]) -> None:
    motion = kalman.start(BOX)
    for seconds, box in steps:
        motion = kalman.correct(kalman.predict(motion, seconds), np.array([box]))
        place, mixed, speed = motion.covariance[0]
        assert place > 0
        assert speed > 0
        assert place * speed - mixed**2 >= -1e-9 * place * speed
        assert np.isfinite(motion.centres).all()


def test_learns_a_speed() -> None:
    motion = kalman.start(BOX)
    for step in range(1, 30):
        way = step * np.array([4.0, -2, 0, 0])
        motion = kalman.correct(kalman.predict(motion, 0.1), BOX + way)
    np.testing.assert_allclose(motion.velocities[0], [40, -20], atol=0.5)
    ahead = kalman.predict(motion, 0.5).centres[0]
    np.testing.assert_allclose(ahead, [200 + 116 + 20, 150 - 58 - 10, 80, 60], atol=1)


def test_a_box_that_shrank_shrinks_no_more_out_of_sight() -> None:
    motion = kalman.correct(kalman.predict(kalman.start(BOX), 0.1), BOX - [[0, 0, 40, 30]])
    assert (motion.centres[0, 2:] < BOX[0, 2:]).all()
    later = kalman.predict(motion, 5)
    np.testing.assert_array_equal(later.centres[:, 2:], motion.centres[:, 2:])
