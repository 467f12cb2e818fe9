"""What samples say: percentiles, spread, drift, and intervals by bootstrap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
DRAWS = 2000  # enough for the second digit of a 95% interval
REPLICATES = 300  # of AP, which takes its time and stands in every row

_PERCENTILES = (10, 50, 90, 99)


class Interval(NamedTuple):
    """An estimate and the interval that holds the true value with 95% confidence."""

    value: float
    low: float
    high: float


def summary(values: np.ndarray) -> dict[str, float]:
    """min, p10, p50, p90, p99, max and mean of (K,) values, K > 0, in their unit.

    Percentiles between two values are interpolated.
    """
    percentiles = np.percentile(values, _PERCENTILES)
    return {
        "min": float(values.min()),
        **{f"p{at}": float(each) for at, each in zip(_PERCENTILES, percentiles, strict=True)},
        "max": float(values.max()),
        "mean": float(values.mean()),
    }


def spread(values: np.ndarray) -> float:
    """Interquartile range over the median of (K,) positive values: 0.1 is 10%."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / middle)


def drift(values: np.ndarray) -> float:
    """How much the last quarter's median exceeds the first's: 0.1 is 10%. (K,) positive values.

    In the order in which they were measured; a board that heats up and slows down drifts up.
    """
    quarter = max(1, len(values) // 4)
    return float(np.median(values[-quarter:]) / np.median(values[:quarter]) - 1)


def median_interval(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The median of (K,) values, K > 0, and its percentile bootstrap interval."""
    picks = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    return Interval(float(np.median(values)), *bounds(np.median(values[picks], axis=1)))


def bounds(replicates: np.ndarray) -> tuple[float, float]:
    """The interval that bootstrap replicates (draws,) span; those that are NaN are left out."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(replicates, [tail, 100 - tail])
    return float(low), float(high)
