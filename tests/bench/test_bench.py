"""Whole benchmarks of the model that ships, with few iterations: what the row says."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from edge_passd import evaluation
from edge_passd.bench import against, timing
from edge_passd.bench import bench as bench_module
from edge_passd.bench.bench import BenchOptions, bench
from edge_passd.bench.latency import latency
from edge_passd.bench.measure import Shot
from edge_passd.bench.photos import MOST, load_photos
from edge_passd.bench.process import others_cores, peak_rss_bytes
from edge_passd.bench.protocol import WarmUp
from edge_passd.bench.row import parse_row, row_text
from edge_passd.board import Record, Sample, read_signs
from edge_passd.detector import Detector, default_model
from edge_passd.errors import BadInput
from edge_passd.evaluation import evaluate
from edge_passd.samples import DataSet
from tests.bench.conftest import SHORT

OPTIONS = BenchOptions(engine="onnxruntime", threads=1, protocol=SHORT)


def run(data: DataSet | None = None, **options: Any) -> tuple[dict[str, Any], str]:
    """The row and what was printed."""
    said = io.StringIO()
    row = bench(replace(OPTIONS, **options), data, Console(file=said, width=200))
    assert parse_row(row_text(row), "row") == json.loads(row_text(row))
    return row, said.getvalue()


def test_the_row_says_what_was_measured(row: dict[str, Any]) -> None:
    model = default_model()
    content = model.read_bytes()
    assert row["model_sha256"] == hashlib.sha256(content).hexdigest()
    assert (row["file"], row["model_bytes"]) == (model.name, len(content))
    assert (row["engine"], row["threads"], row["precision"]) == ("onnxruntime", 1, "int8")
    assert row["int8_share"] == 1
    assert {each["engine"] for each in row["parity"]} == {"onnxruntime"}
    assert row["classes"] == ["dog", "cat", "sheep", "horse", "cow"]
    assert row["versions"].keys() == {"edge_passd", "python", "numpy", "opencv", "onnxruntime"}
    photos = row["photos"]
    assert (photos["source"], photos["count"], photos["sizes"]) == ("cat.jpg", 1, [[451, 300]])
    assert photos["detections"] >= 1
    assert row["target"] is None
    assert row["load_s"] > 0
    assert row["first_ms"] > 0
    assert row["board"]["kernel"]
    assert row["power"]["status"] == "not asked for"


def test_its_figures_follow_from_its_samples(row: dict[str, Any]) -> None:
    samples = row["samples_us"]
    found = latency(samples)
    assert {key: row[key] for key in found} == found
    stages = [np.array(samples[key]) for key in ("pre", "infer", "post")]
    whole = sum(stages) / 1000
    assert row["latency_ms"]["p50"] == pytest.approx(np.median(whole))
    assert row["latency_ms"]["p90"] == pytest.approx(np.percentile(whole, 90))
    assert row["stages_ms"]["infer"] == pytest.approx(np.median(stages[1]) / 1000)
    assert row["fps"] == pytest.approx(1000 / whole.mean())
    assert samples["at"][0] == 0
    ends = np.array(samples["at"]) + sum(stages)
    assert (ends[:-1] <= samples["at"][1:] + np.array(2)).all(), "shots overlap"
    assert len(whole) == row["measured"]["iterations"] == 4
    assert row["measured"]["complete"]
    assert (row["warm_up"]["iterations"], row["warm_up"]["stable"]) == (1, False)


def test_its_accuracy_is_that_of_eval(row: dict[str, Any], cat_data: DataSet) -> None:
    expected = evaluate(Detector(engine="onnxruntime", threads=1), cat_data)
    assert {key: row["accuracy"][key] for key in expected} == expected
    assert row["accuracy"]["images"] == 3
    assert row["accuracy"]["AP50"] == pytest.approx(1)


def test_the_same_model_as_baseline_does_not_differ(row_file: Path, cat_data: DataSet) -> None:
    row, said = run(cat_data, baseline=row_file)
    assert row["baseline"]["AP_difference"] == {"value": 0, "low": 0, "high": 0}
    assert row["baseline"]["model_sha256"] == row["model_sha256"]
    assert "AP +0.00 percent points (95% interval +0.00 to +0.00) against animals5.onnx" in said


def test_two_engines_in_turn(cat_data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(against, "ROUNDS", 3)
    monkeypatch.setattr(against, "BURST", 2)
    row, said = run(cat_data, against=default_model(), against_engine="openvino")
    other = row["against"]
    assert (row["engine"], other["engine"]) == ("onnxruntime", "openvino")
    for key in ("ratio", "infer_ratio"):
        assert 0 < other[key]["low"] <= other[key]["value"] <= other[key]["high"]
    assert other["rounds"] == 3
    assert latency(other["samples_us"])["latency_ms"] == other["latency_ms"]
    assert not other["warm_up"]["stable"]
    assert row["measured"]["iterations"] == 6
    assert other["accuracy"]["data_sha256"] == row["accuracy"]["data_sha256"]
    difference = row["accuracy"]["AP"] - other["accuracy"]["AP"]
    assert other["AP_difference"]["value"] == pytest.approx(difference)
    assert row["cores_used"] is None
    assert "of the time of animals5.onnx (int8, openvino;" in said


def test_a_bundle_tells_its_target(small_bundle: Path) -> None:
    row, said = run(model=small_bundle, engine="auto")
    assert row["engine"] == "tvm"
    assert row["target"]["kind"] in ("x86", "arm")
    assert row["macs"] > 0
    assert row["parity"][0]["matched"] > 0.9
    assert row["compiler"]
    assert "small.passd (fp32, tvm, threads: 1)" in said


def test_a_run_folder_has_no_digest(small_run: Path) -> None:
    row, _ = run(model=small_run, engine="torch")
    assert (row["model_sha256"], row["model_bytes"]) == (None, None)
    assert row["versions"]["torch"]
    assert row["int8_share"] is None


def test_what_the_terminal_says(row_file: Path, cat_data: DataSet) -> None:
    row, said = run(cat_data)
    for words in (
        "animals5.onnx (int8, onnxruntime, threads: 1)", "pre-processing", "together",
        f"{row['latency_ms']['p99']:.2f}", "cats val, 3 photos", "95% interval of AP",
        "not stable: in 0 s of warm-up", "throttled:",
    ):  # fmt: skip
        assert words in said, words
    assert "cut short" not in said
    assert "energy" not in said
    hurried = replace(SHORT, iterations=10**6, limit_s=0.1)
    row, said = run(protocol=hurried)
    assert not row["measured"]["complete"]
    after = f"{row['measured']['seconds']:.1f} s"
    assert f"cut short after {after}: the rule asks for 1000000 iterations" in said


def test_energy_that_was_asked_for_is_measured_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "IDLE_S", 0.1)
    row, said = run(power=True, protocol=replace(SHORT, seconds=0.6))
    power = row["power"]
    assert power["status"] == "measured" or power["status"].startswith("not measured: ")
    assert (power["j_per_frame"] is not None) == (power["status"] == "measured")
    assert power["j_per_frame"] != 0
    assert "energy" in said
    times = row["thermal"]["timeline"]["time_s"]
    assert times[0] <= 0 <= times[-1]


@pytest.mark.parametrize(("in_turn", "joules"), [(False, 1.0), (True, None)])
def test_energy_is_shared_by_the_shots_of_one_artefact(in_turn: bool, joules: float | None) -> None:
    samples = tuple(
        Sample(at, "cpu", 40 + at, None, None, read_signs(Path("nowhere")), watts=5.0, problem="")
        for at in (0.0, 1.0, 2.0)
    )
    record = Record(samples, 100.0, True, "meter", "board", False, "", 0.0)
    warm = WarmUp(1, 0.1, True)
    shots = [Shot(100.5 + 0.1 * number, 0, 0.1, 0) for number in range(10)]
    other = timing.Other(None, warm, ([], [])) if in_turn else None  # type: ignore[arg-type]
    timed = timing.Timed(warm, shots, 1.0, None, None, record, other)
    found = timing.heat_and_power(timed, None)
    assert found["power"]["mean_w"] == 5
    assert found["power"]["j_per_frame"] == joules
    assert found["thermal"]["timeline"]["time_s"] == [-0.5, 0.5, 1.5]
    assert (found["thermal"]["start_c"], found["thermal"]["end_c"]) == (40, 42)


def test_photos_of_a_folder_are_spread_over_it(tmp_path: Path, photo: np.ndarray) -> None:
    for number in range(25):
        picture = np.full((8, 8 + number, 3), number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), picture)
    (tmp_path / "notes.txt").touch()
    photos = load_photos(tmp_path)
    assert len(photos.images) == MOST
    assert [photos.images[0].max(), photos.images[-1].max()] == [0, 24]
    row, _ = run(photo=tmp_path)
    assert row["photos"]["source"] == tmp_path.name
    assert row["photos"]["sizes"][-1] == [32, 8]
    assert row["measured"]["iterations"] == MOST  # whole turns, so that all photos count alike


@pytest.mark.parametrize(
    ("status", "expected"),
    [("VmPeak: 9 kB\nVmHWM:\t  1234 kB\n", 1234 * 1024), ("", None), ("VmHWM: much\n", None)],
)
def test_peak_memory_as_linux_tells_it(tmp_path: Path, status: str, expected: int | None) -> None:
    (tmp_path / "status").write_text(status)
    assert peak_rss_bytes(tmp_path / "status") == expected
    assert peak_rss_bytes(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("stat", "known"),
    [
        ("cpu  900 0 90 7000 500 0 5 5 0 0\ncpu0 1 1\n", True),
        ("", False),
        ("cpu 1 2 3\n", False),
        ("cpu  much of it all in one line of words\n", False),
    ],
)
def test_what_others_use_as_linux_tells_it(tmp_path: Path, stat: str, known: bool) -> None:
    (tmp_path / "stat").write_text(stat)
    # Nothing moves in a file: if it can be read at all, nobody did anything.
    assert others_cores(tmp_path / "stat") == (0 if known else None)
    assert others_cores(tmp_path / "nothing") is None


def test_another_program_that_never_rests_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            found = others_cores()
        finally:
            other.kill()
    assert found is None or found > 0.1


def test_what_is_wrong_is_said_before_anything_is_measured(
    cat_data: DataSet, row_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("measured all the same")

    monkeypatch.setattr(timing, "warm_up", never)
    monkeypatch.setattr(bench_module, "watch_idle", never)
    others = replace(cat_data, classes=("a", "b", "c", "d", "e"))
    moved = tuple(replace(each, boxes=each.boxes + 1) for each in cat_data.samples)
    unlabelled = replace(cat_data, samples=cat_data.samples[2:])
    bare = tmp_path / "bare.json"
    bare.write_text(row_text({**json.loads(row_file.read_text()), "accuracy": None}))
    for data, options, words in (
        (others, {}, "the same, in the same order"),
        (unlabelled, {}, "no object is labelled in 1 photo"),
        (replace(cat_data, samples=moved), {"baseline": row_file}, "two data sets"),
        (cat_data, {"baseline": bare}, "holds no accuracy"),
        (None, {"baseline": row_file}, "--baseline needs --data"),
        (None, {"photo": tmp_path / "no.jpg"}, "no such file"),
        (None, {"photo": tmp_path}, "no photos there"),
        (None, {"model": tmp_path / "no.onnx", "power": True}, "no such model"),
        (None, {"against": bare}, "is no model"),
        (None, {"against": default_model(), "against_engine": "tflite"}, "takes .tflite"),
        (None, {"json": str(tmp_path)}, "is a folder"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=words):
            run(data, **options)  # type: ignore[arg-type]
    monkeypatch.setattr(evaluation, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="pip install 'edge-passd\\[report\\]'"):
        run(cat_data)
