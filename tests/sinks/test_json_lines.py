"""JSON lines: what is in them, and how a camera's file stays bounded."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.errors import BadInput
from edge_passd.sinks.json_lines import json_lines
from edge_passd.sinks.open import SinkOptions, open_sinks
from edge_passd.sinks.record import json_line, record
from edge_passd.sinks.rotated import rotated_lines
from tests.pipeline.fakes import MadeUp
from tests.sinks.results import result


def indices(path: Path) -> list[int]:
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()]


def test_a_live_frame_says_how_old_it_was_and_what_happened() -> None:
    line = record(result(7, time_s=1.23456, latency_s=0.04321, events=({"type": "line"},)))
    assert line == {
        "schema": 1,
        "source": "camera:0",
        "frame": 7,
        "time_s": 1.235,
        "latency_ms": 43.2,
        "detections": [{"label": "dog", "score": 0.75, "box": [1.0, 2.0, 31.0, 42.0]}],
        "events": [{"type": "line"}],
    }
    assert json.loads(json_line(result(7))).keys() == {
        "schema", "source", "frame", "time_s", "detections",
    }  # fmt: skip


@given(
    limit=st.integers(1, 1500), keep=st.integers(0, 4), dogs=st.lists(st.integers(0, 8), min_size=1)
)
def test_rotated_files_are_bounded_and_hold_the_newest_lines(
    tmp_path_factory: pytest.TempPathFactory, limit: int, keep: int, dogs: list[int]
) -> None:
    path = tmp_path_factory.mktemp("rotated") / "found.jsonl"
    largest = 0
    with rotated_lines(path, limit, keep) as write:
        for index, count in enumerate(dogs):
            one = result(index, dogs=count)
            largest = max(largest, len(json_line(one)) + 1)
            assert write(one)
            assert indices(path)[-1] == index  # whole as soon as it is written
    files = [path.with_name(f"{path.name}.{number}") for number in range(keep, 0, -1)] + [path]
    there = [each for each in files if each.exists()]
    assert sorted(path.parent.iterdir()) == sorted(there)
    assert all(each.stat().st_size <= max(limit, largest) for each in there)
    kept = [index for each in there for index in indices(each)]
    assert kept == list(range(len(dogs)))[-len(kept) :]


def test_the_next_run_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "found.jsonl"
    for index in range(3):
        with rotated_lines(path, 10_000, 1) as write:
            write(result(index))
    assert indices(path) == [0, 1, 2]


def test_a_line_that_a_power_cut_tore_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    path.write_text('{"frame": 0}\n{"fra')
    with rotated_lines(path, 10_000, 1) as write:
        write(result(1))
    first, torn, last = path.read_text().splitlines()
    assert (json.loads(first)["frame"], torn, json.loads(last)["frame"]) == (0, '{"fra', 1)


def test_without_a_line_there_is_no_file(tmp_path: Path) -> None:
    with rotated_lines(tmp_path / "found.jsonl", 100, 1):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_file() -> None:
    with pytest.raises(OSError, match="No space left") as caught, json_lines("/dev/full") as write:
        write(result())
    assert caught.value.filename == "/dev/full"


def test_closing_a_pipe_that_nobody_reads_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with json_lines(str(tmp_path / "pipe")) as write:
        many = result(dogs=2000)  # more than a pipe holds

        def write_until_closed() -> None:
            with suppress(ValueError):
                write(many)

        thread = threading.Thread(target=write_until_closed, daemon=True)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    os.close(reader)


@pytest.mark.parametrize(
    ("live", "asked", "rotates"),
    [
        (False, {}, False),
        (True, {}, True),
        (False, {"json_rotate": 400}, True),
        (True, {"json_rotate": 400, "json_keep": 1}, True),
        (False, {"json_keep": 1, "json_rotate": 400}, True),
    ],
)
def test_what_appears_under_its_name_at_once(
    tmp_path: Path, live: bool, asked: dict, rotates: bool
) -> None:
    path = tmp_path / "found.jsonl"
    (sink,) = open_sinks(MadeUp(9, live), SinkOptions(json=str(path), **asked), pytest.fail)
    with sink as write:
        for index in range(9):
            write(result(index))
        assert path.exists() is rotates
    assert path.with_name("found.jsonl.1").exists() is ("json_rotate" in asked)
    assert path.with_name("found.jsonl.2").exists() is (
        "json_rotate" in asked and "json_keep" not in asked
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"json": "-", "json_rotate": 100}, "only a file can be rotated"),
        ({"json": "/dev/null", "json_keep": 2}, "only a file can be rotated"),
        ({"json_rotate": 100}, "give --json FILE too"),
        ({"json_keep": 1}, "give --json FILE too"),
    ],
)
def test_what_cannot_be_rotated(options: dict, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        open_sinks(MadeUp(1), SinkOptions(**options), pytest.fail)
