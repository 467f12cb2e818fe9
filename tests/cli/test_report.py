"""`edge-passd report` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_passd.bench.row import failed_row, write_row
from tests.cli.calls import Here, bad, complaint, edge_passd
from tests.cli.test_bench import QUICK, cats
from tests.report.rows import CREATED, made_row, written

__all__ = ["cats"]

TABLES = ("report.html", "report.md", "report.csv", "report.json")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows").mkdir()
    return written(tmp_path / "rows", made_row("a.onnx", 10), made_row("b.onnx", 20, 0.6))


def test_from_real_rows_to_a_page(here: Here, cats: Path, small_onnx: Path, tmp_path: Path) -> None:
    float_row, int8_row = tmp_path / "float.json", tmp_path / "int8.json"
    for arguments in (
        ("--data", cats, "--json", float_row),
        ("--data", cats, "--baseline", float_row, "--power", "--json", int8_row),
        (small_onnx, "--json", tmp_path / "small.json"),
    ):
        assert here.call("bench", *arguments, *QUICK)[0] == 0
    done = edge_passd("report", float_row, int8_row, tmp_path / "small.json",
                      "-o", tmp_path / "report.html", "-o", tmp_path / "report.json",
                      "--min-images", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"wrote {tmp_path / 'report.html'}" in done.stdout
    assert "val, 1 images" in done.stdout
    assert "is fastest" in done.stdout
    html = (tmp_path / "report.html").read_text()
    assert html.count("animals5.onnx (onnxruntime") > 4
    sections = json.loads((tmp_path / "report.json").read_text())["sections"]
    assert [len(section["rows"]) for section in sections] == [2, 1]
    assert {row["rank"] for row in sections[0]["rows"]} == {1, 2}
    (with_baseline,) = (row for row in sections[0]["rows"] if row["baseline"])
    assert with_baseline["baseline_difference"] == 0


def test_a_folder_gets_everything(here: Here, rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    status, out, _ = here.call("report", rows, "-o", f"{folder}/")
    assert status == 0
    assert "more beside it" in out
    found = {each.name for each in folder.iterdir()}
    assert found == {
        *TABLES, "ap-over-latency.png", "stages.png", "distribution.png",
        "timeline-01.png", "timeline-02.png",
    }  # fmt: skip
    for name in found - {*TABLES}:
        picture = cv2.imread(str(folder / name))
        assert picture.shape[1] > 1500
        assert np.ptp(picture) > 200
    again = {name: (folder / name).read_bytes() for name in found}
    assert here.call("report", rows / "01.json", rows / "00.json", "-o", folder)[0] == 0
    assert {name: (folder / name).read_bytes() for name in found} == again


def test_outputs_are_chosen_by_suffix_and_may_be_several(
    here: Here, rows: Path, tmp_path: Path
) -> None:
    names = ("a.html", "a.MD", "deep/a.csv", "a.json", "a.png")
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    assert here.call("report", rows, *outputs, "--title", "Ours")[0] == 0
    starts = {
        "a.html": b"<!doctype html>", "a.MD": b"# Ours", "deep/a.csv": b"number,rank",
        "a.json": b"{", "a.png": b"\x89PNG",
    }  # fmt: skip
    for name, start in starts.items():
        assert (tmp_path / name).read_bytes().lstrip().startswith(start)


def test_two_data_sets_get_a_plot_each_and_are_said(here: Here, rows: Path, tmp_path: Path) -> None:
    write_row(rows / "02.json", made_row("c.onnx", 1, 0.9, data="street val"))
    status, out, _ = here.call("report", rows, "-o", tmp_path / "plot.png")
    assert status == 0
    assert "2 data sets: each has its own axes and its own ranking" in out
    assert {each.name for each in tmp_path.glob("*.png")} == {"plot.png", "plot-2.png"}


def test_few_images_are_not_ranked(here: Here, tmp_path: Path) -> None:
    write_row(tmp_path / "row.json", made_row(images=20))
    status, out, _ = here.call("report", tmp_path / "row.json", "-o", tmp_path / "r.md")
    assert status == 0
    assert "accuracy on 20 images only" in " ".join(out.split())
    assert "nothing is ranked" in out


def test_what_failed_is_told(here: Here, tmp_path: Path) -> None:
    row = failed_row(Path("c.onnx"), "tvm", "unsupported", "no such operator", CREATED)
    write_row(tmp_path / "row.json", row)
    status, out, _ = here.call("report", tmp_path / "row.json", "-o", tmp_path / "r.html")
    assert status == 0
    assert "c.onnx (tvm): unsupported, no such operator" in out
    assert "no such operator" in (tmp_path / "r.html").read_text()
    assert "nothing to plot" in here.bad(
        "report", tmp_path / "row.json", "-o", tmp_path / "plot.png"
    )


def test_names_from_rows_are_no_markup_on_the_terminal(here: Here, tmp_path: Path) -> None:
    write_row(tmp_path / "row.json", made_row("[red]a[/red].onnx"))
    out = here.call("report", tmp_path / "row.json", "-o", tmp_path / "r.md")[1]
    assert "[red]a[/red].onnx" in out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("report.pdf", "a report is a file in .html, .md, .csv, .json, .png, or a folder"),
        ("report", "a report is a file in"),
        ("rows/00.json/report.html", "00.json is not a folder"),
        ("rows/00.json/", "00.json is not a folder"),
    ],
)
def test_an_output_that_cannot_be(
    here: Here, rows: Path, tmp_path: Path, name: str, words: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    message = here.bad("report", rows, "-o", tmp_path / "fine.html", "-o", f"{tmp_path}/{name}")
    assert words in message
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_where_not_even_root_may_write(rows: Path) -> None:
    assert "/proc/r.html" in bad("report", rows, "-o", "/proc/r.html")


def test_a_write_that_fails_leaves_what_was_there(rows: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    page.write_text("before")
    command = f"ulimit -f 8; exec {sys.executable} -m edge_passd report {rows} -o {page}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "r.html: File too large" in complaint(done.returncode, done.stderr)
    assert page.read_text() == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"rows", "r.html"}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"{", "broken row"), (b'{"schema": 2, "status": "ok"}', "row schema 2")],
)
def test_a_bad_row_among_good_ones(
    here: Here, rows: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    (rows / "bad.json").write_bytes(content)
    message = here.bad("report", rows, "-o", tmp_path / "r.html")
    assert "bad.json" in message
    assert words in message
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("arguments", [("-o", "r.html"), ("rows",), ("rows", "--min-images", "0")])
def test_calls_that_lack_something(here: Here, arguments: tuple[str, ...]) -> None:
    status, _, stderr = here.call("report", *arguments)
    assert status == 2
    assert "Usage" in stderr


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_a_missing_library_names_the_extra(rows: Path, tmp_path: Path, library: str) -> None:
    program = f"""
import sys
sys.modules[{library!r}] = None
from edge_passd.cli.main import main
main(["report", {str(rows)!r}, "-o", {str(tmp_path / "r.html")!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    message = complaint(done.returncode, done.stderr)
    assert f'needs {library}: pip install "edge-passd[report]"' in message
    assert not (tmp_path / "r.html").exists()


def test_help_shows_examples(here: Here) -> None:
    status, out, _ = here.call("report", "--help")
    assert status == 0
    assert "edge-passd report rows/ -o report.html" in out
