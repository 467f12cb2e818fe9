"""The script once, as small as it goes, as a user starts it; and what it is made of."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import bench_host
from bench import offset_forms, rounds
from bench.full_model import Candidate, latencies
from bench.limits import LIMITS
from bench.models import file_name, random_model
from bench.offset_case import OffsetCase, Prepared, expected, offset_case
from bench.offset_files import KINDS, offset_file
from bench.page import replace_between
from bench.tables import OURS, tables
from edge_passd.bundle import read_bundle
from edge_passd.bundle.machine import this_machine
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from quant.export.share import integer_share
from targets import x86

CLASSES, SIZE = 3, 64
PAGE = f"# Speed\n\n{bench_host.BEGIN}\n\nold figures\n\n{bench_host.END}\n\nThe end.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What the script prints; its models, page and figures are in `folder`."""
    (folder / "page.md").write_text(PAGE)
    command = [sys.executable, bench_host.__file__, "--quick", "--models", folder]
    command += ["--classes", CLASSES, "--size", SIZE, "--threads", 1]
    command += ["--json", folder / "speed.json", "--page", folder / "page.md"]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, encoding="utf-8", check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def result(printed: str, folder: Path) -> dict[str, Any]:
    return json.loads((folder / "speed.json").read_text())


def test_every_model_is_measured_on_every_engine(result: dict[str, Any]) -> None:
    assert [row["precision"] for row in result["latency"]] == ["int8", "fp32"]
    others = {"onnxruntime", "onnxruntime, GridSample", "OpenVINO"}
    for row in result["latency"]:
        assert set(row["milliseconds"]) == {OURS, *others}
        assert set(row["ratio"]) == others
        for low, middle, high in (*row["milliseconds"].values(), *row["ratio"].values()):
            assert 0 < low <= middle <= high
    assert set(result["cold_start"]) == {OURS, "onnxruntime", "OpenVINO"}
    assert set(result["versions"]) == {"apache-tvm", "onnxruntime", "openvino"}


def test_the_offset_convolution_is_measured_in_every_form(result: dict[str, Any]) -> None:
    (case,) = result["offset_convolution"]
    assert list(case["milliseconds"]) == list(offset_forms.FORMS)
    assert set(case["ratio"]) == set(offset_forms.FORMS) - {OURS}


def test_the_page_gets_the_tables_and_keeps_the_rest(printed: str, folder: Path) -> None:
    page = (folder / "page.md").read_text()
    begin, end = PAGE.split("old figures")
    assert page.startswith(begin)
    assert page.endswith(end)
    assert printed.strip() in page
    assert "old figures" not in page
    assert f"| {CLASSES} | int8 | 1 |" in page


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "empty"), (b"no model at all", "cannot load")],
    ids=["empty", "no model"],
)
def test_a_float_model_that_is_none_ends_with_one_line(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "float.onnx"
    path.write_bytes(content)
    done = CliRunner().invoke(bench_host.main, ["--float", str(path), "--models", str(tmp_path)])
    assert done.exit_code == 2
    assert complaint in done.output.splitlines()[-1]


@pytest.mark.skipif(this_machine().machine != x86.MACHINE, reason="measures code for x86")
def test_code_for_an_older_processor_is_measured_where_it_can_be_had(folder: Path) -> None:
    page, figures = folder / "avx2.md", folder / "avx2.json"
    marker = bench_host.begin("avx2")
    page.write_text(f"{PAGE}\n{marker}\n\nold\n{bench_host.END}\n")
    command = [sys.executable, bench_host.__file__, "--isa", "avx2", "--quick", "--models", folder]
    command += ["--classes", CLASSES, "--size", SIZE, "--threads", 1]
    command += ["--json", figures, "--page", page]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, encoding="utf-8", check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(figures.read_text())
    assert [set(row["milliseconds"]) for row in result["latency"]] == [{OURS, "OpenVINO"}] * 2
    assert not {"offset_convolution", "cold_start"} & set(result)
    bundle = read_bundle(folder / f"{file_name(CLASSES, 'int8', SIZE)}-x86-64-v3.passd")
    assert bundle.manifest.target.board == "x86-64-v3"
    assert LIMITS["avx2"].says in page.read_text().partition(marker)[2]
    assert page.read_text().startswith(PAGE)


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in ("nothing\n", f"{bench_host.BEGIN}\n", f"{bench_host.END}\n{bench_host.BEGIN}\n"):
        page.write_text(text)
        with pytest.raises(BadInput, match="markers"):
            replace_between(page, bench_host.BEGIN, bench_host.END, "figures")
        assert page.read_text() == text


def test_a_random_model_is_made_once(printed: str, folder: Path) -> None:
    made = folder / f"c{CLASSES}-fp32-{SIZE}.onnx"
    before = made.stat().st_mtime_ns
    assert random_model(CLASSES, "fp32", SIZE, folder) == made
    assert made.stat().st_mtime_ns == before


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_boxes_and_scores_of_a_random_model_differ_from_cell_to_cell(
    precision: str, printed: str, folder: Path, photo: np.ndarray
) -> None:
    path = random_model(CLASSES, precision, SIZE, folder)
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, SIZE, SIZE)).astype(np.float32)
    boxes, scores = load_engine(path, "onnxruntime").run(image)
    assert scores.shape[2] == CLASSES
    assert scores.std(axis=1).min() > 0.02
    first = boxes[0, : 3 * 8 * 8 : 3]  # the first box of each cell of stride 8
    sides = first[:, 2:] - first[:, :2]
    assert np.log(sides).std(axis=0).min() > 0.05


def test_a_random_int8_model_computes_on_integers(printed: str, folder: Path) -> None:
    share = integer_share(random_model(CLASSES, "int8", SIZE, folder), "onnxruntime", SIZE)
    assert share.convolutions == share.integer_convolutions > 0


@pytest.mark.parametrize(("classes", "precision"), [(CLASSES + 1, "fp32"), (CLASSES, "int8")])
def test_another_model_than_the_row_says_is_refused(
    classes: int, precision: str, printed: str, folder: Path
) -> None:
    path = random_model(CLASSES, "fp32", SIZE, folder)
    with pytest.raises(BadInput, match=f"C = {CLASSES} in fp32"):
        latencies({"x": Candidate("onnxruntime", path)}, classes, precision, 1, 1, 1)


@pytest.fixture(scope="module")
def case() -> OffsetCase:
    return offset_case(CLASSES, SIZE)


@pytest.fixture(scope="module")
def files(printed: str, case: OffsetCase, folder: Path) -> dict[str, Path]:
    return {kind: offset_file(case, kind, folder) for kind in KINDS}


@pytest.mark.parametrize("form", offset_forms.FORMS)
def test_every_form_is_right_beyond_the_border(
    form: str, case: OffsetCase, files: dict[str, Path]
) -> None:
    rng = np.random.default_rng(1)
    wild = tuple(
        np.round(rng.uniform(-2, 2, boxes.shape) * boxes.shape[-1] * 4).astype(np.float32) / 4
        for boxes in case.boxes
    )
    case = replace(case, boxes=wild)

    def compute() -> list[np.ndarray]:
        prepared = offset_forms.FORMS[form](case, files, 2)
        return [each.copy() for each in prepared.maps(prepared.run())]

    # TVM would keep the number of threads for whatever this one calls next.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(compute).result()
    for level, wanted in zip(found, expected(case), strict=True):
        np.testing.assert_allclose(level, wanted, atol=1e-4)


def test_a_form_that_computes_something_else_is_not_timed(
    case: OffsetCase, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = offset_forms.FORMS["onnxruntime, GridSample"]

    def one_value_off(*args: Any) -> Prepared:
        prepared = right(*args)

        def maps(returned: Any) -> list[np.ndarray]:
            found = [each.copy() for each in prepared.maps(returned)]
            found[-1][0, 2, -1, 0, 0] += 0.01
            return found

        return Prepared(prepared.run, maps)

    monkeypatch.setattr(offset_forms, "FORMS", {"right": right, "wrong": one_value_off})
    with pytest.raises(ArithmeticError, match="wrong"):
        offset_forms.milliseconds(case, files, 1, 1, 1)


def test_a_turn_begins_when_the_threads_of_the_last_sleep() -> None:
    threads: list[threading.Thread] = []
    disturbed: list[bool] = []

    def spin() -> None:
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass

    def spinner() -> None:
        threads.append(threading.Thread(target=spin))
        threads[-1].start()

    def other() -> None:
        disturbed.append(any(thread.is_alive() for thread in threads))

    seconds = rounds.interleave({"spinner": spinner, "other": other}, rounds=4, burst=3)
    assert {name: each.shape for name, each in seconds.items()} == {
        "spinner": (4, 3),
        "other": (4, 3),
    }
    assert len(disturbed) == 4 * (rounds.UNTIMED + 3)
    assert not any(disturbed)


def test_a_ratio_is_free_of_what_slows_both() -> None:
    ours = np.array([[1.0, 1.1, 9.0], [2.0, 2.2, 2.1], [30.0, 30.0, 30.0]])
    drift = np.array([[1.0], [3.0], [0.2]])
    np.testing.assert_allclose(rounds.ratios(ours * drift, 2 * ours * drift), 0.5)


def test_tables_of_figures_with_ours() -> None:
    forms = {OURS: [1, 1, 1], "slow": [4, 4, 4], "fast": [2, 2, 2]}
    result = {
        "date": "2026-01-01", "processor": "a processor", "versions": {"x": "1"}, "size": 320,
        "rounds": 3, "burst": 2, "starts": 5,
        "latency": [
            {
                "classes": 6, "precision": precision, "threads": 2,
                "milliseconds": {OURS: [7.0, 8.0, 9.04], "OpenVINO": [9, 10, 11], **more},
                "ratio": {"OpenVINO": [0.7, 0.8, 0.9]},
            }
            for precision, more in (("int8", {"LiteRT": [12, 13, 14]}), ("fp32", {}))
        ],
        "offset_convolution": [
            {
                "classes": 6, "threads": 2, "milliseconds": forms,
                "ratio": {"slow": [0.2, 0.25, 0.3], "fast": [0.4, 0.5, 0.6]},
            }
        ],
        "cold_start": {OURS: [0.4, 0.5, 0.6]},
    }  # fmt: skip
    lines = tables(result).splitlines()
    assert (
        "| C | precision | threads | edge-passd, ms | OpenVINO, ms | LiteRT, ms | "
        "edge-passd / OpenVINO |"
    ) in lines
    ours, theirs, ratio = "8.0 (7.0-9.0)", "10.0 (9.0-11.0)", "0.80 (0.70-0.90)"
    assert f"| 6 | int8 | 2 | {ours} | {theirs} | 13.0 (12.0-14.0) | {ratio} |" in lines
    assert f"| 6 | fp32 | 2 | {ours} | {theirs} | - | {ratio} |" in lines
    assert "| edge-passd / best other | 0.50 (0.40-0.60) |" in lines
    assert "| edge-passd | 0.50 (0.40-0.60) |" in lines
