"""What may be compared, and who is ranked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bench.row import failed_row
from edge_passd.report.comparison import compare
from edge_passd.report.doubts import row_doubts, section_doubts
from edge_passd.report.labels import labels
from edge_passd.report.verdict import verdict
from tests.report.rows import CREATED, made_row

ROW = made_row()


def test_ranks_are_by_p50_and_the_line_is_paretos() -> None:
    rows = [
        made_row("slow.onnx", 30, 0.6), made_row("worse.onnx", 25, 0.4),
        made_row("fast.onnx", 5, 0.3), made_row("middle.onnx", 12, 0.5),
    ]  # fmt: skip
    (section,) = compare(rows).sections
    found = [(entry.row["file"], entry.rank, entry.on_line) for entry in section.entries]
    assert found == [
        ("fast.onnx", 1, True), ("middle.onnx", 2, True),
        ("worse.onnx", 3, False), ("slow.onnx", 4, True),
    ]  # fmt: skip
    assert compare(rows[::-1]) == compare(rows)
    words = verdict(compare(rows))
    assert "fastest is fast.onnx (onnxruntime), 5.00 ms, AP 30.0" in words
    assert "best AP has slow.onnx (onnxruntime), 60.0 in 30.0 ms (+30.00 points" in words
    assert words.endswith("fast.onnx (onnxruntime), middle.onnx (onnxruntime), "
                          "slow.onnx (onnxruntime).")  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"saturates": True}, "int8 sums saturate on that processor"),
        ({"file": "fast.failed.onnx"}, "failed the parity gate"),
    ],
)
@pytest.mark.parametrize("ap", [0.9, None])
def test_what_is_wrong_has_no_rank(change: dict[str, Any], why: str, ap: float | None) -> None:
    """However fast and good it looks."""
    wrong = {**made_row("fast.onnx", 5, ap), **change}
    (section,) = compare([wrong, made_row("slow.onnx", 30, None if ap is None else 0.6)]).sections
    first, second = section.entries
    assert (first.rank, first.on_line, first.hollow) == (None, False, True)
    assert (second.rank, second.on_line) == (1, ap is not None)
    assert why in row_doubts(first)[-1]
    assert any("Not ranked" in words and why in words for words in section_doubts(section))
    assert "slow.onnx" in verdict(compare([wrong, second.row]))
    assert "fast." not in verdict(compare([wrong, second.row]))
    assert f"nothing is ranked: {first.unranked}" in verdict(compare([wrong]))


def test_a_difference_that_may_be_none_is_said_to_be_one() -> None:
    better = made_row("b.onnx", 20, 0.501)
    better["accuracy"]["AP_replicates"].reverse()
    assert "so the two may be equal" in verdict(compare([made_row("a.onnx", 10, 0.5), better]))


def test_data_sets_are_never_compared() -> None:
    rows = [made_row("a.onnx", 10, 0.2), made_row("b.onnx", 20, 0.3)]
    rows += [made_row("c.onnx", 5, 0.9, data="street val"), made_row("d.onnx", 1, None)]
    comparison = compare(rows)
    assert [section.data for section in comparison.sections] == ["animals val", "street val", None]
    assert [[entry.rank for entry in section.entries] for section in comparison.sections] == [
        [1, 2], [1], [1],
    ]  # fmt: skip
    assert [[entry.on_line for entry in section.entries] for section in comparison.sections] == [
        [True, True], [True], [False],
    ]  # fmt: skip
    assert [entry.number for entry in comparison.entries] == [1, 2, 3, 4]
    assert "2 data sets stand apart" in verdict(comparison)
    assert "d.onnx (onnxruntime) is fastest, 1.00 ms" in verdict(comparison)


def test_a_name_does_not_make_a_data_set() -> None:
    other = made_row("b.onnx", accuracy__data_sha256="b" * 64)
    assert [section.data for section in compare([ROW, other]).sections] == ["animals val"] * 2


def test_few_images_are_shown_and_not_ranked() -> None:
    rows = [made_row("a.onnx", 10, 0.9, images=99), made_row("b.onnx", 20, 0.9, images=99)]
    (section,) = compare(rows).sections
    assert [(entry.rank, entry.on_line, entry.hollow) for entry in section.entries] == [
        (None, False, True), (None, False, True),
    ]  # fmt: skip
    why = "accuracy on 99 images only; a rank takes 100"
    assert section.entries[0].unranked == why
    assert any(why in doubt for doubt in section_doubts(section))
    assert "nothing is ranked" in verdict(compare(rows))
    assert compare(rows, 99).sections[0].ranked


def test_a_data_set_without_objects_gives_no_accuracy() -> None:
    (section,) = compare([made_row(accuracy__AP=-1)]).sections
    assert section.data is None
    assert section.entries[0].ap is None


def test_what_failed_is_kept_with_its_reason() -> None:
    failures = [failed_row(Path("x.onnx"), "tvm", "failed", "no", CREATED)]
    comparison = compare([ROW, *failures])
    assert comparison.failures[0]["reason"] == "no"
    assert len(comparison.entries) == 1
    assert verdict(compare(failures)) == "Nothing could be measured: 1 artefact failed."


@pytest.mark.parametrize(
    ("changes", "word", "words"),
    [
        ({"thermal__throttled": "yes"}, "throttled", "The board throttled"),
        ({"others_cores": 0.6}, "busy", "Other programs kept more than 0.2"),
        ({"warm_up__stable": False}, "not stable", "not stable yet"),
        ({"measured__complete": False}, "cut short", "cut short by"),
        ({"drift": -0.2}, "drift", "moved by more than 5%"),
    ],
)
def test_what_makes_a_row_doubtful(changes: dict[str, Any], word: str, words: str) -> None:
    section = compare([made_row("a.onnx"), made_row("b.onnx", 20, **changes)]).sections[0]
    assert [row_doubts(entry) for entry in section.entries] == [[], [word]]
    (doubt,) = section_doubts(section)
    assert words in doubt
    assert doubt.endswith("b.onnx (onnxruntime).")
    assert section.entries[1].hollow == (word == "throttled")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": 4}, "differ in threads (2 threads, 4 threads)"),
        ({"threads": None}, "differ in threads (2 threads, default threads)"),
        ({"nms": "soft"}, "differ in NMS (hard, soft)"),
        ({"photos__source": "dog.jpg"}, "differ in the photos that were timed"),
        ({"protocol__rule": "mlperf"}, "differ in the protocol"),
    ],
)
def test_rows_that_were_measured_in_other_ways(changes: dict[str, Any], words: str) -> None:
    assert section_doubts(compare([ROW, made_row("b.onnx")]).sections[0]) == []
    (doubt,) = section_doubts(compare([ROW, made_row("b.onnx", **changes)]).sections[0])
    assert words in doubt


@given(
    names=st.lists(
        st.tuples(
            st.sampled_from(["a.onnx", "b.onnx", "long" * 30]),
            st.sampled_from(["tvm", "openvino"]),
            st.sampled_from([None, 1, 2]),
            st.sampled_from([None, "Raspberry Pi 5", "Raspberry Pi 4"]),
            st.sampled_from(["int8", "fp32"]),
        ),
        max_size=12,
    )
)
def test_no_two_rows_have_one_label(names: list[tuple[Any, ...]]) -> None:
    keys = ("file", "engine", "threads", "board", "precision")
    rows = [dict(zip(keys, each, strict=True)) for each in names]
    for row in rows:
        row["board"] = {"model": row["board"], "cpu": None}
    assert len(set(labels(rows))) == len(rows)


def test_a_label_says_no_more_than_it_takes() -> None:
    rows = [ROW, made_row("b.onnx", threads=4)]
    assert labels(rows) == ["animals.onnx (onnxruntime)", "b.onnx (onnxruntime)"]
    rows = [ROW, made_row(threads=1), made_row(threads=1)]
    assert labels(rows) == [
        "animals.onnx (onnxruntime, 2 threads)",
        "animals.onnx (onnxruntime, 1 thread, 1 of 2)",
        "animals.onnx (onnxruntime, 1 thread, 2 of 2)",
    ]


def test_equal_boards_are_told_apart_by_their_hosts() -> None:
    rows = [ROW, {**ROW, "remote": "pi@attic"}, {**ROW, "remote": "pi@cellar"}]
    assert labels(rows) == [
        f"animals.onnx (onnxruntime, {host})" for host in ("here", "pi@attic", "pi@cellar")
    ]
