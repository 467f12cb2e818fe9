"""A short version of `scripts/soak.py`: real sources and sinks, a camera that comes and goes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

import soak
from edge_passd.sources import live


def test_nothing_grows_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(live, "LONGEST_DELAY_S", 0.01)
    monkeypatch.setattr(live, "_FAILING_S", 0.02)
    monkeypatch.setattr("edge_passd.sinks.outbox.FLUSH_S", 0.1)
    soak.soak(tmp_path / "first", 100, 1, soak.made_up)  # what libraries load once
    before = soak.holdings()
    samples = soak.soak(tmp_path / "second", 500, 5, soak.made_up)
    settled = samples[1:-1]
    assert len(settled) == soak.ROWS - 1
    assert samples[-1].reconnects == 5
    # 500 pictures of 320 x 240 are 115 MB.
    assert max(each.rss_mb for each in settled) - settled[0].rss_mb < 15
    assert max(each.threads for each in settled) == min(each.threads for each in settled)
    assert samples[-1].threads <= before[1]
    assert samples[-1].files <= before[2]
    lines = (tmp_path / "second" / "found.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["frame"] >= 499
    film = cv2.VideoCapture(str(tmp_path / "second" / "film.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) > 1
