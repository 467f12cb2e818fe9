from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from edge_passd.tracking.assignment import assign

SIZES = st.tuples(st.integers(0, 8), st.integers(0, 8))
# Few different values make ties; many zeros make pairs that may not be made.
GAINS = st.sampled_from([-1.0, 0.0, 0.0, 0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)


def total(gain: np.ndarray) -> float:
    """What `assign` gains, after its promises are checked."""
    rows, columns = assign(gain)
    assert rows.dtype == columns.dtype == np.int64
    assert (np.diff(rows) > 0).all()
    assert len(set(columns.tolist())) == len(columns)
    assert (gain[rows, columns] > 0).all()
    return float(gain[rows, columns].sum())


@given(gain=arrays(float, SIZES, elements=GAINS))
def test_gains_as_much_as_scipy(gain: np.ndarray) -> None:
    wanted = np.maximum(gain, 0)
    assert total(gain) == pytest.approx(wanted[linear_sum_assignment(wanted, maximize=True)].sum())


@given(gain=arrays(float, st.tuples(st.integers(1, 4), st.integers(4, 5)), elements=GAINS))
def test_gains_as_much_as_the_best_of_all_ways(gain: np.ndarray) -> None:
    wanted = np.maximum(gain, 0)
    rows = np.arange(len(gain))
    ways = permutations(range(gain.shape[1]), len(gain))
    best = max(wanted[rows, list(columns)].sum() for columns in ways)
    assert total(gain) == pytest.approx(best)
    assert total(gain.T) == pytest.approx(best)


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (50, 50)])
def test_large_tables(size: tuple[int, int]) -> None:
    gain = np.random.default_rng(0).random(size)
    best = gain[linear_sum_assignment(gain, maximize=True)].sum()
    assert total(gain) == pytest.approx(best)


def test_one_good_pair_gives_way_to_two() -> None:
    rows, columns = assign(np.array([[0.6, 0.5], [0.5, 0.0]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
