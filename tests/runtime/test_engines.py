from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import fake_models
import numpy as np
import pytest
from onnx import helper
from test_offset_sample import ANCHORS, OUTPUTS, random_case

from edge_passd.engines import table
from edge_passd.engines.table import EngineRow, choose, load_engine
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from edge_passd.offset_sample import TAPS, offset_sample

ONNX_ENGINES = ("onnxruntime", "openvino")


@pytest.fixture(params=ONNX_ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return request.param


def test_a_model_runs_and_tells_what_it_is(engine_name: str, model: Path) -> None:
    engine = load_engine(model, engine_name, threads=1)
    assert engine.name == engine_name
    assert ModelInfo.from_json(engine.metadata, "") == fake_models.COLOUR_INFO
    image = np.zeros((1, 3, 64, 64), np.float32)
    image[0, 0], image[0, 2] = 51, 102
    boxes, scores = engine.run(image)
    assert boxes.dtype == scores.dtype == np.float32
    np.testing.assert_array_equal(boxes[0], fake_models.COLOUR_BOXES)
    expected = np.array([[0.8, 0.2, 0, 0], [1, 0, 0, 0], [0.6, 0, 0, 0.4]])
    np.testing.assert_allclose(scores[0], expected, atol=1e-6)


def test_a_second_run_leaves_the_first_result_alone(engine_name: str, model: Path) -> None:
    engine = load_engine(model, engine_name, threads=1)
    dark, bright = (np.full((1, 3, 64, 64), value, np.float32) for value in (0, 50))
    _, first = engine.run(dark)
    before = first.copy()
    engine.run(bright)
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 3, 32, 64), np.float32),
        np.zeros((2, 3, 64, 64), np.float32),
        np.zeros((3, 64, 64), np.float32),
        np.zeros((1, 3, 64, 64), np.uint8),
        np.zeros((1, 3, 64, 64), np.float64),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_another_shape_or_dtype_is_a_value_error(
    engine_name: str, model: Path, image: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"\(1, 3, 64, 64\) float32"):
        load_engine(model, engine_name, threads=1).run(image)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "0 bytes"),
        (b"not an onnx file" * 50, "cannot load it"),
        (b"\x00" * 1000, "cannot load it"),
        ("half of a model", "cannot load it"),
    ],
)
def test_a_file_that_is_no_model_is_bad_input(
    engine_name: str, model: Path, tmp_path: Path, content: bytes | str, complaint: str
) -> None:
    broken = tmp_path / "broken.onnx"
    whole = model.read_bytes()
    broken.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=complaint) as error:
        load_engine(broken, engine_name)
    assert "\n" not in str(error.value)


def test_damaged_models_never_end_in_another_error(model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    whole = model.read_bytes()
    broken = tmp_path / "broken.onnx"
    image = np.zeros((1, 3, 64, 64), np.float32)
    refused = 0
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(0, len(data) // 3, 3):
            data[at] = rng.integers(256)
        broken.write_bytes(bytes(data))
        try:
            engine = load_engine(broken, "onnxruntime", threads=1)
        except BadInput:
            refused += 1
        else:
            engine.run(image)  # a name or a number changed; the graph is still a model
    assert refused > 10


@pytest.mark.parametrize(
    ("inputs", "outputs", "complaint"),
    [
        ({"image": [1, 3, 32, 32]}, ("boxes", "scores"), r"takes image \(1, 3, 32, 32\)"),
        ({"photo": [1, 3, 64, 64]}, ("boxes", "scores"), "takes photo"),
        ({"image": [1, 3, 64, 64]}, ("boxes", "points"), "no output 'scores'"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_bad_input(
    engine_name: str,
    tmp_path: Path,
    inputs: dict[str, list[int]],
    outputs: tuple[str, ...],
    complaint: str,
) -> None:
    nodes = [helper.make_node("Relu", [next(iter(inputs))], [name]) for name in outputs]
    shapes = {name: next(iter(inputs.values())) for name in outputs}
    path = fake_models.save(tmp_path / "m.onnx", nodes, inputs, shapes, {}, fake_models.COLOUR_INFO)
    with pytest.raises(BadInput, match=complaint):
        load_engine(path, engine_name)


def test_a_foreign_model_is_named_as_such(engine_name: str, tmp_path: Path) -> None:
    path = fake_models.colour_model(tmp_path / "foreign.onnx", info=None)
    with pytest.raises(BadInput, match=r"not an edge-passd model: .*foreign\.onnx"):
        load_engine(path, engine_name)


@pytest.mark.parametrize(("height", "width"), [(6, 5), (1, 4), (3, 1), (1, 1)])
def test_openvino_samples_as_the_reference_does(tmp_path: Path, height: int, width: int) -> None:
    openvino = pytest.importorskip("openvino")
    from edge_passd.engines.openvino import read_model

    node = helper.make_node("OffsetSample", ["projected", "points_box"], ["y"], domain="edge_passd")
    for name, value in (("anchors", ANCHORS), ("outputs", OUTPUTS)):
        node.attribute.append(helper.make_attribute(name, value))
    shapes = {
        "projected": [1, ANCHORS * TAPS * OUTPUTS, height, width],
        "points_box": [1, ANCHORS, 4, height, width],
    }
    output = {"y": [1, ANCHORS, OUTPUTS, height, width]}
    path = fake_models.save(tmp_path / "op.onnx", [node], shapes, output, {}, None)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(read_model(path), "CPU", settings)
    for seed, spread in enumerate((0.0, 0.2, 1.0, 40.0)):
        case = random_case(seed, height, width, spread)
        projected, boxes = (each.astype(np.float32) for each in case)
        result = compiled([projected, boxes])["y"]
        np.testing.assert_allclose(result, offset_sample(projected, boxes, OUTPUTS), atol=2e-5)


def test_auto_takes_the_first_installed_that_fits(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(library: str, take: str) -> EngineRow:
        return EngineRow(f"{library}:Engine", (take,), library, "extra-" + library)

    rows = {
        "absent": row("no_such_library", ".onnx"),
        "other": row("json", ".tflite"),
        "present": row("json", ".onnx"),
    }
    monkeypatch.setattr(table, "ENGINES", rows)
    assert choose(model) == "present"
    with pytest.raises(BadInput, match=r'pip install "edge-passd\[extra-no_such_library\]"'):
        choose(model, "absent")
    with pytest.raises(BadInput, match=r"other takes \.tflite; use --engine absent"):
        choose(model, "other")


def test_a_run_folder_goes_to_torch_and_a_photo_to_nobody(model: Path, tmp_path: Path) -> None:
    if find_spec("torch"):
        assert choose(tmp_path) == "torch"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"x")
    with pytest.raises(BadInput, match=r"photo\.jpg is no model; give \.onnx or a run folder"):
        choose(photo)
    with pytest.raises(BadInput, match="no engine 'tensorrt'; there are auto"):
        choose(model, "tensorrt")
    with pytest.raises(BadInput, match="no such model"):
        choose(tmp_path / "missing.onnx")
