"""The doctor's models and answers are those that their script makes."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from edge_passd.doctor.answers import FOLDER, operator_answer  # noqa: E402
from edge_passd.doctor.cases import CASES  # noqa: E402
from make_doctor_cases import expected, graphs, model_of  # noqa: E402

GRAPHS = graphs()


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_what_the_script_makes(name: str) -> None:
    graph = GRAPHS[name]
    outputs = expected(name, graph)
    kept = operator_answer(name)
    for arrays, found in ((graph.inputs, kept.inputs), (outputs, kept.outputs)):
        assert arrays.keys() == found.keys()
        for key, value in arrays.items():
            assert found[key].dtype == value.dtype
            np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-7)
    assert onnx.load(FOLDER / f"{name}.onnx") == model_of(name, graph, outputs)


def test_operators_of_a_case_stand_in_its_model() -> None:
    for name, case in CASES.items():
        nodes = " ".join(GRAPHS[name].nodes)
        assert all(operator in nodes for operator in case.operators), name


def test_every_input_reaches_every_corner_of_the_integers() -> None:
    """Of bytes the whole range, and no more: then sums of two products need more than 16 bits."""
    answer = operator_answer("conv_qdq_full")
    scale, zero = (GRAPHS["conv_qdq_full"].constants[key] for key in ("x_scale", "x_zero"))
    integers = answer.inputs["x"] / scale + float(zero)
    assert integers.min() <= 0
    assert integers.max() >= 255
