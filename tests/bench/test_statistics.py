"""Percentiles, drift and intervals against numpy, arithmetic and coverage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bench.statistics import bounds, drift, median_interval, spread, summary

times = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60).map(np.array)


@given(times)
def test_a_summary_is_numpys_percentiles_in_rising_order(values: np.ndarray) -> None:
    found = summary(values)
    assert found["min"] == values.min()
    assert found["max"] == values.max()
    assert found["mean"] == pytest.approx(values.mean())
    for percentile in (10, 50, 90, 99):
        assert found[f"p{percentile}"] == pytest.approx(np.percentile(values, percentile))
    rising = [found[key] for key in ("min", "p10", "p50", "p90", "p99", "max")]
    assert all(low <= high * (1 + 1e-12) for low, high in pairwise(rising))


def test_percentiles_worked_by_hand() -> None:
    found = summary(np.arange(1.0, 102.0))
    assert [found[key] for key in ("min", "p10", "p50", "p90", "p99", "max", "mean")] == [
        1, 11, 51, 91, 100, 101, 51,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [([5.0], 0), ([2.0] * 8, 0), ([1.0, 2.0, 3.0, 4.0, 5.0], 2 / 3)],
)
def test_spread_is_the_middle_half_over_the_median(values: list[float], expected: float) -> None:
    assert spread(np.array(values)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([10.0], 0),
        ([10.0, 11.0], 0.1),
        ([10.0, 10.0, 99.0, 1.0, 50.0, 2.0, 12.0, 12.0], 0.2),  # the middle does not matter
        ([10.0] * 4 + [8.0] * 4, -0.2),
    ],
)
def test_drift_is_of_the_last_quarter_against_the_first(
    values: list[float], expected: float
) -> None:
    assert drift(np.array(values)) == pytest.approx(expected)


@given(times, st.floats(0.01, 100))
def test_figures_scale_with_the_unit_and_ratios_do_not(values: np.ndarray, unit: float) -> None:
    assert summary(values * unit)["p90"] == pytest.approx(unit * summary(values)["p90"])
    assert spread(values * unit) == pytest.approx(spread(values), abs=1e-9)
    assert drift(values * unit) == pytest.approx(drift(values), abs=1e-9)


@given(times)
def test_the_interval_of_a_median_holds_it_and_stays_within_the_values(values: np.ndarray) -> None:
    found = median_interval(values, draws=200)
    assert found.value == np.median(values)
    assert values.min() <= found.low <= found.value <= found.high <= values.max()


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    intervals = [median_interval(rng.normal(5, 1, 40), draws=300) for _ in range(200)]
    covered = np.mean([each.low <= 5 <= each.high for each in intervals])
    assert 0.88 < covered < 1


def test_more_values_give_a_narrower_interval_and_the_same_ones_the_same() -> None:
    values = np.random.default_rng(2).normal(5, 1, 1000)
    few, many = median_interval(values[:30]), median_interval(values)
    assert many.high - many.low < (few.high - few.low) / 2
    assert median_interval(values) == many


def test_bounds_leave_out_what_is_no_number() -> None:
    replicates = np.concatenate([np.arange(101.0), [np.nan] * 50])
    assert bounds(replicates) == pytest.approx((2.5, 97.5))
