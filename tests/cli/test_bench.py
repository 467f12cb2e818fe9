"""`edge-passd bench` as a user calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_passd.bench import timing
from edge_passd.bench.row import read_row
from tests.bench.conftest import ANIMALS, CAT_BOX
from tests.cli.calls import Here, edge_passd

QUICK = ("--engine", "onnxruntime", "--threads", 1, "--warm-up", 0, "--iterations", 3)
QUICK = (*QUICK, "--seconds", 0)


@pytest.fixture(scope="module")
def cats(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one cat in COCO form."""
    root = tmp_path_factory.mktemp("cats")
    (root / "images").mkdir()
    cv2.imwrite(str(root / "images" / "cat.png"), photo)
    x1, y1, x2, y2 = CAT_BOX
    document = {
        "images": [{"id": 1, "file_name": "cat.png", "width": 451, "height": 300}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 2, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(ANIMALS)],
    }
    (root / "val.json").write_text(json.dumps(document))
    return root


def test_in_a_process_of_its_own_without_any_argument_but_short(tmp_path: Path) -> None:
    row = tmp_path / "row.json"
    done = edge_passd("bench", *QUICK, "--json", row)
    assert done.returncode == 0, done.stderr
    assert "inference" in done.stdout
    assert re.search(r"\npre- and post-processing: \d+\.\d% of inference\n", done.stdout)
    assert done.stderr == ""
    values = read_row(row)
    assert values["measured"]["iterations"] == 3
    assert values["latency_ms"]["p50"] > values["stages_ms"]["infer"] > 0
    assert values["peak_rss_bytes"] > values["model_bytes"]
    assert [each.name for each in tmp_path.iterdir()] == ["row.json"]


def test_accuracy_baseline_and_stdout(here: Here, cats: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.json"
    status, out, _ = here.call("bench", *QUICK, "--data", cats, "--json", first)
    assert status == 0
    assert "val, 1 photos, percent: AP" in out
    status, out, err = here.call(
        "bench", *QUICK, "--data", cats, "--baseline", first, "--json", "-"
    )
    assert status == 0
    row = json.loads(out)
    assert row["baseline"]["AP"] == row["accuracy"]["AP"] > 0.5
    assert "milliseconds" in err


def test_mlperf_and_the_options_are_the_protocol_of_the_row(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def protocol_of(*arguments: object) -> dict[str, Any]:
        status, out, _ = here.call("bench", "--warm-up", 0, *arguments, "--json", "-")
        assert status == 0
        return json.loads(out)["protocol"]

    collect = timing.collect
    monkeypatch.setattr(timing, "collect", lambda turn, *_: collect(turn, timing_once))
    mlperf = protocol_of("--mlperf")
    assert {key: mlperf[key] for key in ("iterations", "seconds", "limit_s", "percentile")} == {
        "iterations": 1024, "seconds": 60, "limit_s": None, "percentile": 90,
    }  # fmt: skip
    asked = protocol_of("--seconds", 5)
    assert (asked["iterations"], asked["seconds"], asked["limit_s"]) == (100, 5, None)
    usual = protocol_of()
    assert (usual["iterations"], usual["seconds"], usual["limit_s"]) == (100, 10, 40)
    assert usual["warm_up_limit_s"] == 0


timing_once = timing.Protocol(iterations=1, seconds=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.onnx",), "no such model: nowhere.onnx"),
        (("--photo", "nowhere.jpg"), "no such file: nowhere.jpg"),
        (("--data", "nowhere"), "nowhere"),
        (("--against", "nowhere.passd"), "no such model: nowhere.passd"),
        (("--json", "/"), "is a folder"),
        (("--engine", "tvm"), "takes .passd"),
    ],
)
def test_bad_input_is_one_line(here: Here, arguments: tuple[str, ...], words: str) -> None:
    assert words in here.bad("bench", *QUICK, *arguments)


@pytest.mark.parametrize("content", [b"", b"no row", b'{"schema": 7, "status": "ok"}'])
def test_a_bad_baseline_is_one_line(here: Here, cats: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "row.json").write_bytes(content)
    arguments = ("--data", cats, "--baseline", tmp_path / "row.json")
    assert str(tmp_path / "row.json") in here.bad("bench", *QUICK, *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--mlperf", "--seconds", "5"), "--mlperf sets"),
        (("--baseline", "row.json"), "give --data"),
        (("--against-engine", "tvm"), "is for --against"),
        (("--power", "--against", "x.onnx"), "--power measures one"),
        (("--iterations", "0"), "--iterations"),
        (("--threads", "0"), "--threads"),
        (("--seconds", "-1"), "--seconds"),
        (("--engine", "magic"), "magic"),
    ],
)
def test_options_that_do_not_go_together(
    here: Here, arguments: tuple[str, ...], words: str
) -> None:
    status, _, stderr = here.call("bench", *arguments)
    assert status == 2
    assert words in stderr


def test_ctrl_c_leaves_nothing(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(timing, "collect", interrupted)
    status, _, _ = here.call("bench", *QUICK, "--json", tmp_path / "row.json")
    assert status == 130
    assert not list(tmp_path.iterdir())


def test_help_shows_examples(here: Here) -> None:
    status, out, _ = here.call("bench", "--help")
    assert status == 0
    assert "edge-passd bench animals.passd --against" in out
