from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.serve.figures import BARS, Figures, histogram
from edge_passd.sources.source import SourceState
from tests.serve.fakes import counts, result

CONNECTED = SourceState(connected=True)


def filled(count: int, fps: float, **fields: object) -> Figures:
    figures = Figures()
    for index in range(count):
        figures.add(result(index, **fields), index / fps)  # type: ignore[arg-type]
    return figures


@pytest.mark.parametrize("fps", [0.5, 4.0, 30.0, 500.0])
def test_the_rate_is_that_of_the_results(fps: float) -> None:
    figures = filled(int(20 * fps), fps)
    assert figures.to_dict(20.0 - 1 / fps)["fps"] == pytest.approx(fps, rel=0.01)


def test_without_results_lately_the_rate_is_zero() -> None:
    assert filled(100, 10).to_dict(20.0)["fps"] == 0
    assert Figures().to_dict(20.0)["fps"] == 0
    assert filled(1, 10).to_dict(0.0)["fps"] == 0


def test_the_window_forgets() -> None:
    figures = Figures()
    for index in range(100):
        figures.add(result(labels=(0,), infer_s=0.5), index / 10)
    for index in range(400):
        figures.add(result(labels=(1, 1), infer_s=0.01), 10 + index / 10)
    now = figures.to_dict(50.0)
    assert now["latency"]["p90_ms"] == 10
    assert [each["mean"] for each in now["classes"]] == [0.0, 2.0]
    assert now["detections"] == {"dog": 100, "cat": 800}
    assert figures.to_dict(100.0)["latency"] is None


def test_the_window_is_bounded_however_fast_results_come() -> None:
    figures = filled(10_000, 1e6)
    assert figures.to_dict(0.01)["frames"] == 10_000
    assert sum(figures.to_dict(0.01)["latency"]["counts"]) < 5000


@pytest.mark.parametrize(
    ("fps", "silence_s", "status"),
    [
        (20, 1, "live"),
        (20, 4.9, "live"),
        (20, 6, "stalled"),
        (0.1, 25, "live"),
        (0.1, 31, "stalled"),
    ],
)
def test_slow_is_not_stalled(fps: float, silence_s: float, status: str) -> None:
    figures = filled(10, fps)
    assert figures.status(CONNECTED, 9 / fps + silence_s) == status


def test_lines_and_zones_show_their_counts_and_the_last_events() -> None:
    figures = Figures()
    for index in range(200):
        event = {"type": "zone", "name": "yard", "id": index, "event": "enter", "inside": index}
        figures.add(result(events=(event,), counts=counts(inside=index)), float(index))
    now = figures.to_dict(199.0)
    assert now["places"] == [
        {"type": "line", "name": "gate", "in": 3, "out": 1},
        {"type": "zone", "name": "yard", "inside": 199},
    ]
    assert [each["id"] for each in now["events"]] == list(range(199, 191, -1))
    assert [each["age_s"] for each in now["events"]] == list(range(8))


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300))
def test_the_histogram_holds_every_value_and_ends_near_the_slow_ones(values: list[float]) -> None:
    upper, counts = histogram(np.array(values))
    high = float(np.percentile(values, 99))
    assert len(counts) == BARS
    assert sum(counts) == len(values)
    assert high <= upper * (1 + 1e-9)
    assert upper <= max(1.5 * high, 1.0) * (1 + 1e-9)


def test_one_hiccup_does_not_squeeze_the_others() -> None:
    upper, counts = histogram(np.array([10.0] * 500 + [9000.0]))
    assert upper == 10
    assert counts[-1] == 501
