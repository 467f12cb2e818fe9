from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_passd import boxes as geometry
from targets.gpu.steps import Heads
from targets.graph import Attend, Head, Tensor
from tests.gpu.cases.attend import case, cases
from tests.gpu.cases.case import FP32, PRECISIONS, Case, Family, Wanted, schedule_for
from tests.gpu.on_emulator import UNSHRUNK, Emulator, Library, every
from tests.targets.cases.arrays import convolved, generator
from tests.targets.cases.attend import Shape, normal


@every(cases, PRECISIONS)
def test_it_is_the_definition(emulator: Emulator, family: Family, name: str) -> None:
    emulator.library(cases, family).run(name)


sizes = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([4.0, 8.0, 32.0])),
    min_size=1, max_size=4,
)  # fmt: skip


@st.composite
def levels(draw: st.DrawFn) -> tuple[Shape, ...]:
    classes, clipped = draw(st.integers(2, 40)), draw(st.booleans())
    sides = tuple(draw(st.lists(st.floats(0.5, 12, width=32), min_size=1, max_size=4)))
    offsets = normal(draw(st.sampled_from([0.1, 1.0, 3.0])))
    return tuple(
        Shape(height, width, classes, sides, clipped, offsets, stride=stride)
        for height, width, stride in draw(sizes)
    )


@settings(max_examples=2, phases=UNSHRUNK)
@given(shapes=st.lists(levels(), min_size=4, max_size=4), photos=st.integers(1, 2))
def test_any_shape(emulator: Emulator, shapes: list[tuple[Shape, ...]], photos: int) -> None:
    made = {
        f"{family}_{number}": case(family, f"any_{number}", each, photos)
        for number, each in enumerate(shapes)
        for family in PRECISIONS
    }
    Library(made, emulator.folder).run_all()


# ---- a head whose boxes are three cells wide, so that its taps are a cell apart -----------------

HEIGHT, WIDTH, STRIDE, CLASSES, DEPTH = 5, 6, 8.0, 6, 10
RNG = generator("properties")
FEATURES = RNG.normal(size=(HEIGHT, WIDTH, 7))
WEIGHTS = RNG.normal(size=(DEPTH, 7, 3, 3)) / 8
BIAS = RNG.normal(size=(1, DEPTH))
FAR = 10  # cells, beyond which nothing is asked for


def outputs_of(emulator: Emulator, moves: np.ndarray, clipped: bool) -> tuple[np.ndarray, ...]:
    """Boxes (H, W, 4) and scores (H, W, C) of the kernel, for offsets (H, W, 4)."""
    head = Head((3.0,), clipped, (1.0,) * 4, (1.0,) * 4, BIAS, CLASSES)
    by_tap = WEIGHTS.transpose(2, 3, 0, 1).reshape(-1, 7, 1, 1)
    layer = Attend(
        "attend", Tensor("offsets", HEIGHT, WIDTH, 4),
        Tensor("projected", HEIGHT, WIDTH, len(by_tap)), head, STRIDE, 0,
    )  # fmt: skip
    inputs = {layer.offsets: moves[None], layer.projected: convolved(FEATURES, by_tap, 1)[None]}
    anything = {
        name: Wanted(np.zeros((1, layer.boxes, depth)), np.full((1, layer.boxes, depth), np.inf))
        for name, depth in (("boxes", 4), ("scores", CLASSES))
    }
    case_ = Case(Heads((layer,)), schedule_for(FP32, 1), inputs, {}, outputs=anything)
    *_, boxes, scores = Library({"properties": case_}, emulator.folder).run("properties")
    return boxes.reshape(HEIGHT, WIDTH, 4), scores.reshape(HEIGHT, WIDTH, CLASSES)


def plain(moves: np.ndarray, down: int = 0, right: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores from a 3x3 convolution's outputs, so many cells further on."""
    whole = convolved(np.pad(FEATURES, ((FAR, FAR), (FAR, FAR), (0, 0))), WEIGHTS, 1) + BIAS
    outputs = whole[FAR + down :, FAR + right :][:HEIGHT, :WIDTH]
    rows, columns = np.indices((HEIGHT, WIDTH))
    side = np.full(rows.shape, 3 * STRIDE)
    rest = np.stack([(columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE, side, side], -1)
    boxes = geometry.decode(outputs[..., CLASSES:], geometry.decode(moves, rest))
    powers = np.exp(outputs[..., :CLASSES])
    return geometry.corners(boxes), powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("clipped", [True, False], ids=["clipped", "unclipped"])
def test_without_offsets_it_is_a_plain_convolution(emulator: Emulator, clipped: bool) -> None:
    moves = np.zeros((HEIGHT, WIDTH, 4))
    for found, wanted in zip(outputs_of(emulator, moves, clipped), plain(moves), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -1), (-2, 3), (9, 0), (0, -9)])
def test_whole_offsets_shift_the_map(emulator: Emulator, down: int, right: int) -> None:
    """By eq. 1 an offset is in sides, of three cells here."""
    moves = np.zeros((HEIGHT, WIDTH, 4))
    moves[..., :2] = right / 3, down / 3
    expected = plain(moves, down, right)
    for found, wanted in zip(outputs_of(emulator, moves, False), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
