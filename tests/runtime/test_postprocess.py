from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_passd.boxes import iou
from edge_passd.postprocess import nms, nms_reference, select, soft_nms

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Boxes, scores and labels with many ties, shared edges, empty and inside-out boxes."""
    count = draw(st.integers(0, 25))
    coordinate = st.integers(-6, 20).map(float) | st.floats(-50, 400, width=32)
    boxes = draw(hnp.arrays(np.float32, (count, 4), elements=coordinate))
    score = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32)
    scores = draw(hnp.arrays(np.float32, count, elements=score))
    labels = draw(hnp.arrays(np.int64, count, elements=st.integers(0, 2)))
    return boxes, scores, labels


def case(*rows: tuple[tuple[float, float, float, float], float, int]) -> Case:
    boxes, scores, labels = zip(*rows, strict=True)
    return np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels)


A, B, FAR = (0, 0, 10, 10), (1, 0, 11, 10), (50, 50, 60, 60)


@pytest.mark.parametrize("suppress", [nms, nms_reference], ids=["opencv", "reference"])
@pytest.mark.parametrize(
    ("given_boxes", "kept"),
    [
        pytest.param(case((A, 0.5, 0), (B, 0.9, 0), (FAR, 0.1, 0)), [1, 2], id="better wins"),
        pytest.param(case((A, 0.9, 0), (B, 0.5, 1)), [0, 1], id="classes do not compete"),
        pytest.param(case((A, 0.5, 0), (A, 0.5, 0)), [0], id="of equals the first"),
        pytest.param(case((A, 0.0, 0), (FAR, 0.0, 0)), [0, 1], id="a score of 0 is a score"),
        # 9 of 20 square pixels shared: exactly the threshold, which is not above it.
        pytest.param(case(((0, 0, 20, 1), 0.9, 0), ((0, 0, 9, 1), 0.5, 0)), [0, 1], id="at 0.45"),
        pytest.param(case(((0, 0, 20, 1), 0.9, 0), ((0, 0, 9.1, 1), 0.5, 0)), [0], id="above"),
        pytest.param(case(((3, 3, 3, 9), 0.9, 0), ((5, 5, 4, 9), 0.8, 0)), [], id="without area"),
        # OpenCV moves class 1 by 11 here, to where A lies.
        pytest.param(case(((-11, -11, -1, -1), 0.9, 1), (A, 0.8, 0)), [0, 1], id="below zero"),
    ],
)
def test_nms_cases(suppress: Callable[..., np.ndarray], given_boxes: Case, kept: list[int]) -> None:
    assert suppress(*given_boxes, 0.45).tolist() == kept


@settings(max_examples=120, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.3, 0.45, 0.5, 1.0]))
@example((np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)), 0.45)
def test_opencv_and_the_reference_agree(boxes: Case, threshold: float) -> None:
    fast, reference = nms(*boxes, threshold), nms_reference(*boxes, threshold)
    np.testing.assert_array_equal(fast, reference)
    assert fast.dtype == reference.dtype == np.int64


@settings(max_examples=50, deadline=None)
@given(cases())
def test_what_is_left_does_not_overlap_and_what_is_gone_did(boxes: Case) -> None:
    corners, scores, labels = boxes
    kept = nms(*boxes, 0.45)
    overlap = iou(corners.astype(float), corners.astype(float))
    for place, index in enumerate(kept):
        earlier = kept[:place][labels[kept[:place]] == labels[index]]
        assert (overlap[index, earlier] <= 0.45 + 1e-3).all()
    assert (np.diff(scores[kept]) <= 0).all()
    has_area = (corners[:, 2:] - corners[:, :2] > 0.01).all(axis=1)
    for index in set(np.flatnonzero(has_area)) - set(kept):
        rivals = kept[(labels[kept] == labels[index]) & (scores[kept] >= scores[index])]
        assert (overlap[index, rivals] > 0.45 - 1e-3).any()


def test_select_thresholds_caps_and_drops_background() -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    scores = np.array([[0.9, 0.01, 0.009], [0.1, 0.3, 0.6], [0.4, 0.3, 0.3]], np.float32)
    found, values, labels = select(boxes, scores, threshold=0.01, most=4)
    assert values.tolist() == pytest.approx([0.6, 0.3, 0.3, 0.3])
    assert labels.tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(found, boxes[[1, 1, 2, 2]])
    assert len(select(boxes, scores, 0.01, 100)[1]) == 5  # 0.01 itself stays, 0.009 goes
    assert [len(part) for part in select(boxes, scores, 0.95, 100)] == [0, 0, 0]


@given(
    hnp.arrays(np.float32, (7, 4), elements=st.sampled_from([0, 0.125, 0.25, 0.5])),
    st.integers(1, 25),
)
def test_select_is_a_stable_sort_cut_off(scores: np.ndarray, most: int) -> None:
    boxes = np.repeat(np.arange(7, dtype=np.float32)[:, None], 4, axis=1)
    found, values, labels = select(boxes, scores, 0.125, most)
    pairs = [(-scores[i, c], i, c - 1) for i in range(7) for c in range(1, 4)]
    expected = sorted(pair for pair in pairs if -pair[0] >= 0.125)[:most]
    assert list(zip(-values, found[:, 0], labels, strict=True)) == expected


def test_soft_nms_by_hand() -> None:
    # B overlaps A with IoU 9 / 11; C is A's twin of another class.
    boxes, scores, labels = case((A, 0.8, 0), (B, 0.6, 0), (A, 0.5, 1))
    kept, values = soft_nms(boxes, scores, labels, threshold=0.01)
    assert kept.tolist() == [0, 2, 1]
    assert values.dtype == np.float32
    assert values.tolist() == pytest.approx([0.8, 0.5, 0.6 * np.exp(-((9 / 11) ** 2) / 0.5)])
    kept, _ = soft_nms(boxes, scores, labels, threshold=0.3)
    assert kept.tolist() == [0, 2]


@settings(max_examples=50, deadline=None)
@given(cases())
def test_soft_nms_lowers_the_scores_of_overlaps_only(boxes: Case) -> None:
    kept, values = soft_nms(*boxes, threshold=0.01)
    assert len(set(kept)) == len(kept)
    assert (values <= boxes[1][kept]).all()
    assert (values >= 0.01 - 1e-7).all()
    assert (np.diff(values) <= 0).all()
    corners, scores, labels = boxes
    overlap = iou(corners.astype(float), corners.astype(float)) * (labels[:, None] == labels)
    np.fill_diagonal(overlap, 0)
    lookup = dict(zip(kept.tolist(), values.tolist(), strict=True))
    has_area = (corners[:, 2:] - corners[:, :2] > 0.01).all(axis=1)
    clear = scores > 0.0101  # at the threshold itself float32 and float64 may disagree
    for index in np.flatnonzero(has_area & clear & ~overlap.any(axis=1)).tolist():
        assert lookup[index] == scores[index]
