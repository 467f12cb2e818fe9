"""The drawing of the sampling: what it says is what `edge_passd.offset_sample` computes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from draw_sampling import ADJUSTED, CELLS, TAP, Box, corners, main
from edge_passd.offset_sample import TAPS, offset_sample

inside_and_out = st.floats(-2.0, CELLS + 1.0)
sides = st.floats(0.1, 9.0)


@given(inside_and_out, inside_and_out, sides, sides, st.integers(0, TAPS - 1))
def test_corners_have_the_weights_of_the_sampling(
    cy: float, cx: float, h: float, w: float, tap: int
) -> None:
    values = np.random.default_rng(0).normal(size=(CELLS, CELLS))
    projected = np.zeros((1, TAPS, CELLS, CELLS))
    projected[0, tap] = values
    boxes = np.zeros((1, 1, 4, CELLS, CELLS)) + np.reshape([cy, cx, h, w], (4, 1, 1))
    sampled = offset_sample(projected, boxes, 1)[0, 0, 0, 0, 0]
    drawn = sum(
        each.weight * values[each.row, each.column]
        for each in corners(*Box(cy, cx, h, w).tap(tap))
        if each.inside
    )
    assert drawn == pytest.approx(sampled, abs=1e-12)


def test_the_drawn_tap_has_two_corners_inside_and_two_outside() -> None:
    around = corners(*ADJUSTED.tap(TAP))
    assert [each.inside for each in around] == [False, False, True, True]
    assert [each.weight for each in around] == pytest.approx([0, 0, 0.49, 0.21])


def test_it_is_a_picture_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        assert CliRunner().invoke(main, [str(tmp_path / name)]).exit_code == 0
    one, two = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert ElementTree.fromstring(one).tag.endswith("svg")
    assert one == two


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [str(tmp_path / "sampling.txt")])
    assert done.exit_code == 2
    assert "ends with .svg or .png" in done.output
    assert not list(tmp_path.iterdir())
