"""The arithmetic of quantised layers: against exact fractions, and in the cases that define it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto, helper

from edge_passd.errors import BadInput
from targets.reference import evaluate
from targets.reference.integers import Quantised, factor, requantise, requantised_sum

NEAR = Fraction(46, 10**6)
NEAR_SUM = Fraction(62, 10**6)

scales = st.floats(2**-12, 1, width=32)
zero_points = st.integers(0, 255)


def exact(value: Fraction, zero_point: int) -> int:
    return min(max(round(value) + zero_point, 0), 255)


def to_tie(value: Fraction) -> Fraction:
    """How far from the nearest edge between two steps."""
    return abs(value % 1 - Fraction(1, 2))


@st.composite
def sums_near_ties(draw: st.DrawFn) -> tuple[int, float, float, float, int]:
    x, weight, output = (draw(scales) for _ in range(3))
    zero_point = draw(zero_points)
    edge = draw(st.integers(-260, 260)) + Fraction(1, 2)
    middle = round(edge * Fraction(output) / (Fraction(x) * Fraction(weight)))
    return middle + draw(st.integers(-2, 2)), x, weight, output, zero_point


@given(sums_near_ties())
def test_a_scaled_sum_is_right_or_one_step_off_at_a_tie(
    case: tuple[int, float, float, float, int],
) -> None:
    total, x, weight, output, zero_point = case
    factors = factor(np.array([x]) * np.array([weight]), np.array(output))
    (found,) = requantise(
        np.full((1, 1, 1, 1), total, np.float64), factors, np.uint8(zero_point)
    ).ravel()
    value = total * Fraction(x) * Fraction(weight) / Fraction(output)
    wanted = exact(value, zero_point)
    assert found == wanted or (abs(int(found) - wanted) == 1 and to_tie(value) < NEAR)


@pytest.mark.parametrize(
    ("name", "total", "scales", "found"),
    [
        # Each within 2e-5 of a tie, where the last bit decides.
        ("a sum beyond 2^24 is rounded first", 17088631, (0.0365, 1e-5, 0.0251), 249),
        ("the product is rounded before its step is chosen", 6555029, (0.0517, 1e-5, 0.0153), 222),
        ("the factor is rounded once", 79247, (0.067, 0.001, 0.0437), 121),
        ("a tie goes to the even step", 5, (0.5, 1.0, 1.0), 2),
        ("a tie goes to the even step above", 7, (0.5, 1.0, 1.0), 4),
        ("what is too much saturates", 2**40, (0.5, 1.0, 1.0), 255),
        ("what is too little saturates", -1, (1.0, 1.0, 1.0), 0),
    ],
)
def test_scaled_sums_by_hand(
    name: str, total: int, scales: tuple[float, float, float], found: int
) -> None:
    x, weight, output = (np.array([s], np.float32).astype(np.float64) for s in scales)
    sums = np.full((1, 1, 1, 1), total, np.float64)
    assert requantise(sums, factor(x * weight, output), np.uint8(0)).item() == found


def test_few_scaled_sums_are_off() -> None:
    """Of sums over all the output's range; and some are, or the bound would be idle."""
    rng = np.random.default_rng(0)
    x, weight, output = rng.uniform(0.01, 0.1, 3).astype(np.float32).astype(np.float64)
    sums = rng.integers(0, int(256 * output / (x * weight * 1e-5)), (1, 1, 1024, 1024))
    weight *= np.float32(1e-5)
    found = requantise(sums, factor(np.array([x * weight]), output), np.uint8(0))
    wanted = np.clip(np.rint(sums * (x * weight / output)), 0, 255)
    assert 0 < (found != wanted).mean() < 1e-4
    assert np.abs(found - wanted).max() == 1


@given(
    values=st.tuples(*[st.integers(0, 255)] * 2),
    zeros=st.tuples(*[zero_points] * 3),
    output=scales,
    shares=st.tuples(*[st.floats(2**-10, 1, width=32)] * 2),
)
def test_an_integer_sum_is_right_or_one_step_off_at_a_tie(
    values: tuple[int, int],
    zeros: tuple[int, int, int],
    output: float,
    shares: tuple[float, float],
) -> None:
    steps = [float(np.float32(share * output)) for share in shares]
    a, b = (
        Quantised(np.array([value], np.uint8), np.array(step), np.array(zero, np.uint8))
        for value, step, zero in zip(values, steps, zeros, strict=False)
    )
    (found,) = requantised_sum(a, b, np.array(output), np.array(zeros[2], np.uint8))
    terms = zip(values, zeros, steps, strict=False)
    value = sum(((v - z) * Fraction(s) for v, z, s in terms), Fraction(0)) / Fraction(output)
    wanted = exact(value, zeros[2])
    assert found == wanted or (abs(int(found) - wanted) == 1 and to_tie(value) < NEAR_SUM)


@pytest.mark.parametrize(
    ("name", "a", "b", "scales", "found"),
    [
        # 21.5 and 247.5 steps in decimals: the last bit of a product decides.
        ("the second product is rounded, the first is not", 17, 45, (0.087, 0.013, 0.096), 21),
        ("the other way round", 45, 17, (0.013, 0.087, 0.096), 22),
        ("both products rounded would give 248", 199, 175, (0.065, 0.076, 0.106), 247),
        ("a tie goes to the even step", 1, 2, (0.5, 0.5, 1.0), 2),
        ("a tie goes to the even step below", 2, 3, (0.5, 0.5, 1.0), 2),
        ("what is too much saturates", 200, 200, (0.5, 0.5, 0.25), 255),
    ],
)
def test_sums_by_hand(
    name: str, a: int, b: int, scales: tuple[float, float, float], found: int
) -> None:
    *steps, output = (np.array(scale, np.float32) for scale in scales)
    zero = np.array(0, np.uint8)
    first, second = (
        Quantised(np.array([value], np.uint8), step, zero)
        for value, step in zip((a, b), steps, strict=True)
    )
    assert requantised_sum(first, second, output, zero).tolist() == [found]


def dequantise(name: str, **attributes: int) -> NodeProto:
    names = [name, f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DequantizeLinear", names, [f"{name}_real"], **attributes)


def quantise(name: str) -> NodeProto:
    return helper.make_node("QuantizeLinear", [name, "y_scale", "y_zero"], ["y"])


def grids(**scales: float) -> dict[str, np.ndarray]:
    """A scale, and zero point 0, for each name."""
    found = {f"{name}_scale": np.array(scale, np.float32) for name, scale in scales.items()}
    return {**found, **{f"{name}_zero": np.array(0, np.uint8) for name in scales}}


@pytest.mark.parametrize("resized_first", [False, True])
def test_the_resized_side_of_a_sum_is_the_rounded_product(resized_first: bool) -> None:
    names = ["big_real", "b_real"] if resized_first else ["b_real", "big_real"]
    resize = helper.make_node(
        "Resize", ["a", "", "twice"], ["big"],
        mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric",
    )  # fmt: skip
    nodes = [
        resize,
        dequantise("big"),
        dequantise("b"),
        helper.make_node("Add", names, ["sum"]),
        quantise("sum"),
    ]
    feeds = {
        "a": np.full((1, 1, 1, 1), 45, np.uint8),
        "b": np.full((1, 1, 2, 2), 17, np.uint8),
        "twice": np.array([1, 1, 2, 2], np.float32),
        **grids(big=0.013, b=0.087, y=0.096),
    }
    assert evaluate(nodes, feeds, ["y"])["y"].ravel().tolist() == [21] * 4


def test_without_a_resize_the_second_side_is_the_rounded_product() -> None:
    feeds = {
        "a": np.array([45], np.uint8),
        "b": np.array([17], np.uint8),
        **grids(a=0.013, b=0.087, y=0.096),
    }
    sides = [dequantise("a"), dequantise("b")]
    for names, wanted in ((["a_real", "b_real"], 22), (["b_real", "a_real"], 21)):
        nodes = [*sides, helper.make_node("Add", names, ["sum"]), quantise("sum")]
        assert evaluate(nodes, feeds, ["y"])["y"].tolist() == [wanted]


def convolution(**change: np.ndarray) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """Two outputs of a 1x1 convolution of one pixel, with biases."""
    nodes = [
        dequantise("x"),
        dequantise("w", axis=0),
        dequantise("b", axis=0),
        helper.make_node("Conv", ["x_real", "w_real", "b_real"], ["sum"]),
        quantise("sum"),
    ]
    weight_scale = np.array([0.25, 0.5], np.float32)
    feeds = {
        "x": np.array([10, 20, 30], np.uint8).reshape(1, 3, 1, 1),
        "w": np.array([[1, 2, 3], [-4, 5, 127]], np.int8).reshape(2, 3, 1, 1),
        "b": np.array([6, -1000], np.int32),
        **grids(x=0.5, y=2.0),
        "x_zero": np.array(8, np.uint8),
        "y_zero": np.array(3, np.uint8),
        "w_scale": weight_scale,
        "w_zero": np.zeros(2, np.int8),
        "b_scale": 0.5 * weight_scale,
        "b_zero": np.zeros(2, np.int32),
    }
    return nodes, {**feeds, **change}


def test_a_convolution_by_hand() -> None:
    """2 + 24 + 66 + 6 = 98 sixteenths: 6.125; -8 + 60 + 2794 - 1000 = 1846 eighths: 230.75."""
    nodes, feeds = convolution()
    assert evaluate(nodes, feeds, ["y"])["y"].ravel().tolist() == [6 + 3, 231 + 3]


def test_what_is_inside_an_integer_layer_can_still_be_asked_for() -> None:
    nodes, feeds = convolution()
    found = evaluate(nodes, feeds, ["sum", "y"])
    assert found["sum"].ravel().tolist() == [98 / 8, 1846 / 4]
    assert found["y"].ravel().tolist() == [9, 234]


def test_what_is_fed_inside_an_integer_layer_counts() -> None:
    nodes, feeds = convolution()
    fed = {**feeds, "sum": np.array([10.0, 21.0])}
    assert evaluate(nodes, fed, ["y"])["y"].tolist() == [5 + 3, 10 + 3]


@pytest.mark.parametrize("names", [["x_real", "w_real"], ["x_real", "w_real", ""]])
def test_a_convolution_without_bias_is_on_integers(names: list[str]) -> None:
    """40 * 125 products of 0.009 * 0.024, in steps of 0.08: just below 13.5 but in float32."""
    nodes = [
        dequantise("x"),
        dequantise("w", axis=0),
        helper.make_node("Conv", names, ["sum"]),
        quantise("sum"),
    ]
    feeds = {
        "x": np.array(40, np.uint8).reshape(1, 1, 1, 1),
        "w": np.array(125, np.int8).reshape(1, 1, 1, 1),
        **grids(x=0.009, y=0.08),
        "w_scale": np.array([0.024], np.float32),
        "w_zero": np.zeros(1, np.int8),
    }
    assert evaluate(nodes, feeds, ["y"])["y"].item() == 14


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w": np.ones((2, 3, 1, 1), np.uint8)}, "weights on integers must be int8"),
        ({"w_zero": np.array([0, 1], np.int8)}, "with zero point 0"),
        ({"x": np.ones((1, 3, 1, 1), np.int8)}, "activations on integers must be uint8"),
        ({"x_scale": np.ones(3, np.float32)}, "with one scale"),
        ({"y_zero": np.array(0, np.int8)}, "activations on integers must be uint8"),
        ({"b": np.array([6, 7], np.int8)}, "a bias on integers must be int32"),
        ({"b_scale": np.array([0.125, 0.2501], np.float32)}, "in steps of input x weight"),
        ({"b_zero": np.array([0, 1], np.int32)}, "a bias on integers"),
    ],
)
def test_a_convolution_on_other_integers_is_refused(
    change: dict[str, np.ndarray], words: str
) -> None:
    nodes, feeds = convolution(**change)
    with pytest.raises(BadInput, match=rf"^the node that makes 'sum': .*{words}"):
        evaluate(nodes, feeds, ["y"])


def test_weights_with_scales_along_another_axis_are_refused() -> None:
    _, feeds = convolution(w_scale=np.ones(3, np.float32), w_zero=np.zeros(3, np.int8))
    conv = helper.make_node("Conv", ["x_real", "w_real"], ["sum"], name="net/conv")
    nodes = [dequantise("x"), dequantise("w", axis=1), conv, quantise("sum")]
    with pytest.raises(BadInput, match=r"^node 'net/conv': .* must have a scale per output"):
        evaluate(nodes, feeds, ["y"])


def test_a_sum_of_other_integers_is_refused() -> None:
    nodes = [
        dequantise("a"),
        dequantise("b"),
        helper.make_node("Add", ["a_real", "b_real"], ["sum"]),
        quantise("sum"),
    ]
    feeds = {"a": np.ones(1, np.uint8), "b": np.ones(1, np.int8), **grids(a=1, b=1, y=1)}
    with pytest.raises(BadInput, match=r"^the node that makes 'sum': activations on integers"):
        evaluate(nodes, feeds, ["y"])


@pytest.mark.parametrize("extra", ["Exp", "QuantizeLinear"])
def test_what_is_taken_twice_is_computed_in_float(extra: str) -> None:
    """There 21.4999995 is below the tie; the arithmetic of a layer on integers is at it."""
    other = {
        "Exp": helper.make_node("Exp", ["sum"], ["other"]),
        "QuantizeLinear": helper.make_node("QuantizeLinear", ["sum", "y_scale"], ["other"]),
    }
    add = helper.make_node("Add", ["a_real", "b_real"], ["sum"])
    nodes = [dequantise("a"), dequantise("b"), add, quantise("sum")]
    feeds = {
        "a": np.array([45], np.uint8),
        "b": np.array([17], np.uint8),
        **grids(a=0.013, b=0.087, y=0.096),
    }
    assert evaluate(nodes, feeds, ["y"])["y"].tolist() == [22]
    assert evaluate([*nodes, other[extra]], feeds, ["y"])["y"].tolist() == [21]
