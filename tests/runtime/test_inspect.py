"""`edge-passd inspect`, on a bundle for another machine: nothing of it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_bundles import MANIFEST, TARGETS, idle_bundle

from edge_passd.bundle import read_bundle
from edge_passd.bundle.tables import TOP
from tests.cli.calls import Here, here

__all__ = ["here"]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def shown(here: Here, *arguments: object) -> str:
    status, stdout, stderr = here.call("inspect", *arguments)
    assert (status, stderr) == (0, "")
    return stdout


@pytest.mark.parametrize("machine", TARGETS)
def test_the_tables_tell_what_is_in_it(here: Here, tmp_path: Path, machine: str) -> None:
    path = idle_bundle(tmp_path / "colours.passd", machine)
    text = shown(here, path)
    target = TARGETS[machine]
    records = read_bundle(path).manifest.files
    for words in (
        "colours.passd", "red, green, blue", "64 x 64 pixels", target.board, target.cpu,
        target.triple, " ".join((machine, *target.features)), "int8, 97.0% of the mult",
        "constants.bin", records["model.so"].sha256[:16], "onnxruntime", "0.998", "conv3x3",
        "22.12", "75.0%", "[8, 2]", "0.27.0.post1", "epochs", "animals", "not in the bundle",
    ):  # fmt: skip
        assert words in text, words


def test_the_largest_operators_are_shown_or_all(here: Here, tmp_path: Path) -> None:
    rows = tuple({"name": f"conv{n}", "kind": "conv", "macs": 1000 * n} for n in range(1, 31))
    path = idle_bundle(tmp_path / "m.passd", operators=rows)
    text = shown(here, path)
    names = [f"conv{n}" in text.split() for n in range(1, 31)]
    assert names == [False] * (30 - TOP) + [True] * TOP
    assert "15 smaller ones; --all shows them" in text
    everything = shown(here, path, "--all")
    assert all(f"conv{n}" in everything.split() for n in range(1, 31))
    assert "--all" not in everything


def test_a_bundle_that_knows_little_is_shown_too(here: Here, tmp_path: Path) -> None:
    path = idle_bundle(tmp_path / "m.passd", operators=(), parity=(), compiler={}, int8_share=None)
    text = shown(here, path)
    assert "int8 " in text
    assert "multiplications" not in text


def test_names_are_no_commands_for_the_terminal(here: Here, tmp_path: Path) -> None:
    rows = ({"name": "a\x1b[2J[bold]b", "kind": "conv", "macs": 1, "note": "x\ny"},)
    text = shown(here, idle_bundle(tmp_path / "m.passd", operators=rows))
    assert "a\N{REPLACEMENT CHARACTER}[2J[bold]b" in text
    assert "\x1b" not in text


def test_json_is_the_manifest(here: Here, tmp_path: Path) -> None:
    path = idle_bundle(tmp_path / "m.passd")
    values = json.loads(shown(here, path, "--json"))
    assert values == json.loads(read_bundle(path).manifest.to_json())
    assert values["target"]["features"] == list(MANIFEST.target.features)


def test_a_damaged_bundle_is_one_line(here: Here, tmp_path: Path) -> None:
    path = idle_bundle(tmp_path / "m.passd")
    path.write_bytes(path.read_bytes()[:-9])
    assert "cut short" in here.bad("inspect", path)
    assert "no such file" in here.bad("inspect", tmp_path / "none.passd")


def test_help_shows_examples(here: Here) -> None:
    assert "edge-passd inspect animals.passd --json | jq" in shown(here, "--help")
