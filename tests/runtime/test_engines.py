"""Every engine does the same: one set of tests for all, then what concerns one or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import fake_models
import numpy as np
import pytest
from onnx import helper
from test_offset_sample import ANCHORS, OUTPUTS, random_case

from edge_passd.boxes import default_boxes
from edge_passd.engines import table
from edge_passd.engines.base import Engine
from edge_passd.engines.table import ENGINES, EngineRow, choose, load_engine
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from edge_passd.offset_sample import TAPS, offset_sample
from edge_passd.preprocess import to_input

GRAPH_ENGINES = ("onnxruntime", "openvino", "tflite")
FILE_ENGINES = (*GRAPH_ENGINES, "tvm")
SIZE = 128  # of the small PASSD

Answers = tuple[np.ndarray, np.ndarray]  # boxes and scores


# "cuda" needs a GPU: what stands in for one is in tests/engines.
@pytest.fixture(scope="session", params=[name for name in ENGINES if name != "cuda"])
def small_passd(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """An engine's name, and one and the same small PASSD as that engine takes it."""
    fixtures = {"tflite": "small_tflite", "torch": "small_run", "tvm": "small_bundle"}
    fixture = fixtures.get(request.param, "small_onnx")
    return request.param, request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def engine(small_passd: tuple[str, Path]) -> Engine:
    name, path = small_passd
    return load_engine(path, name, threads=1)


@pytest.fixture(scope="session")
def cat_input(cat: np.ndarray) -> np.ndarray:
    return to_input(cat, SIZE, "stretch")[0]


@pytest.fixture(scope="session")
def expected(small_run: Path, cat_input: np.ndarray) -> Answers:
    """What the model computes in torch."""
    return load_engine(small_run).run(cat_input)


def test_every_engine_gives_the_same_answers(
    small_passd: tuple[str, Path], engine: Engine, cat_input: np.ndarray, expected: Answers
) -> None:
    assert engine.name == small_passd[0]
    info = ModelInfo.from_json(engine.metadata, "")
    assert (info.classes, info.input_size) == (("cat", "person"), SIZE)
    boxes, scores = engine.run(cat_input)
    count = len(default_boxes(SIZE))
    assert (boxes.shape, scores.shape) == ((1, count, 4), (1, count, 3))
    assert boxes.dtype == scores.dtype == np.float32
    np.testing.assert_allclose(boxes, expected[0], atol=0.01)
    np.testing.assert_allclose(scores, expected[1], atol=1e-4)


@pytest.mark.parametrize("threads", [None, 2])
def test_threads_change_no_answer(
    small_passd: tuple[str, Path], threads: int | None, cat_input: np.ndarray, expected: Answers
) -> None:
    name, path = small_passd
    boxes, scores = load_engine(path, name, threads=threads).run(cat_input)
    np.testing.assert_allclose(boxes, expected[0], atol=0.01)
    np.testing.assert_allclose(scores, expected[1], atol=1e-4)


def test_an_image_may_lie_in_memory_as_it_likes(
    engine: Engine, cat_input: np.ndarray, expected: Answers
) -> None:
    channels_last = np.ascontiguousarray(cat_input.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    boxes, _ = engine.run(channels_last)
    np.testing.assert_allclose(boxes, expected[0], atol=0.01)


def test_a_second_run_leaves_the_first_result_alone(engine: Engine, cat_input: np.ndarray) -> None:
    first = engine.run(cat_input)
    before = [output.copy() for output in first]
    second = engine.run(np.zeros_like(cat_input))
    for output, copied, other in zip(first, before, second, strict=True):
        np.testing.assert_array_equal(output, copied)
        assert not np.array_equal(output, other)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 3, SIZE // 2, SIZE), np.float32),
        np.zeros((2, 3, SIZE, SIZE), np.float32),
        np.zeros((3, SIZE, SIZE), np.float32),
        np.zeros((1, SIZE, SIZE, 3), np.float32),
        np.zeros((1, 3, SIZE, SIZE), np.uint8),
        np.zeros((1, 3, SIZE, SIZE), np.float64),
        np.zeros((1, 3, SIZE, SIZE), ">f4"),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
def test_another_shape_or_dtype_is_a_value_error(engine: Engine, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=rf"\(1, 3, {SIZE}, {SIZE}\) float32"):
        engine.run(image)


def test_a_missing_library_names_the_extra(
    small_passd: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, path = small_passd
    absent = replace(ENGINES[name], libraries=("no_such_library", "nor_this"))
    monkeypatch.setitem(ENGINES, name, absent)
    with pytest.raises(BadInput, match=rf'pip install "edge-passd\[{absent.extra}\]"'):
        load_engine(path, name)


@pytest.fixture(params=FILE_ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    # A bundle needs no library to run, but TVM to be made.
    pytest.importorskip(next(iter(ENGINES[request.param].libraries), "tvm"))
    return request.param


@pytest.fixture
def colours(engine_name: str, request: pytest.FixtureRequest) -> Path:
    """A file for the engine that scores red, green and blue by their share in the photo."""
    fixture = {"tflite": "tflite_model", "tvm": "bundle"}.get(engine_name, "model")
    return request.getfixturevalue(fixture)


def test_a_model_runs_and_tells_what_it_is(engine_name: str, colours: Path) -> None:
    loaded = load_engine(colours, engine_name, threads=1)
    assert ModelInfo.from_json(loaded.metadata, "") == fake_models.COLOUR_INFO
    image = np.zeros((1, 3, 64, 64), np.float32)
    image[0, 0], image[0, 2] = 51, 102
    boxes, scores = loaded.run(image)
    np.testing.assert_array_equal(boxes[0], fake_models.COLOUR_BOXES)
    known = np.array([[0.8, 0.2, 0, 0], [1, 0, 0, 0], [0.6, 0, 0, 0.4]])
    np.testing.assert_allclose(scores[0], known, atol=1e-6)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda whole: b"", "0 bytes"),
        (lambda whole: b"no model at all" * 50, r"cannot load it|is no bundle"),
        (lambda whole: b"\x00" * 1000, r"cannot load it|is no bundle"),
        (lambda whole: whole[: len(whole) // 2], r"cannot load it|cut short"),
    ],
    ids=["empty", "text", "zeros", "half"],
)
def test_a_file_that_is_no_model_is_bad_input(
    engine_name: str,
    colours: Path,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    complaint: str,
) -> None:
    broken = tmp_path / f"broken{colours.suffix}"
    broken.write_bytes(damage(colours.read_bytes()))
    with pytest.raises(BadInput, match=complaint) as error:
        load_engine(broken, engine_name)
    assert "\n" not in str(error.value)


def test_damaged_onnx_models_never_end_in_another_error(model: Path, tmp_path: Path) -> None:
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
            loaded = load_engine(broken, "onnxruntime", threads=1)
        except BadInput:
            refused += 1
        else:
            loaded.run(image)  # a name or a number changed; the graph is still a model
    assert refused > 10


@pytest.mark.parametrize("engine_name", GRAPH_ENGINES, indirect=True)
@pytest.mark.parametrize(
    ("image", "size", "outputs", "complaint"),
    [
        ("image", 32, ("boxes", "scores"), r"takes image \(1, 3, 32, 32\)"),
        ("photo", 64, ("boxes", "scores"), "takes photo"),
        ("image", 64, ("boxes", "points"), "no output 'scores'"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_bad_input(
    engine_name: str,
    tmp_path: Path,
    image: str,
    size: int,
    outputs: tuple[str, str],
    complaint: str,
) -> None:
    shape = [1, 3, size, size]
    if engine_name == "tflite":
        path = tmp_path / "m.tflite"
        path.write_bytes(fake_models.colour_tflite(image, tuple(shape), outputs))
    else:
        path = tmp_path / "m.onnx"
        nodes = [helper.make_node("Relu", [image], [name]) for name in outputs]
        shapes = dict.fromkeys(outputs, shape)
        fake_models.save(path, nodes, {image: shape}, shapes, {}, fake_models.COLOUR_INFO)
    with pytest.raises(BadInput, match=complaint):
        load_engine(path, engine_name)


@pytest.mark.parametrize("engine_name", GRAPH_ENGINES, indirect=True)
def test_a_foreign_model_is_named_as_such(engine_name: str, colours: Path, tmp_path: Path) -> None:
    path = tmp_path / f"foreign{colours.suffix}"
    if engine_name == "tflite":
        path.write_bytes(fake_models.without_archive(colours))
    else:
        fake_models.colour_model(path, info=None)
    with pytest.raises(BadInput, match=r"not an edge-passd model: .*foreign\."):
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
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(extra: str, take: str, *libraries: str) -> EngineRow:
        return EngineRow("module:Engine", (take,), libraries, extra)

    rows = {
        "absent": row("wanted", ".onnx", "no_such_library"),
        "other": row("any", ".tflite", "json"),
        "present": row("any", ".onnx", "no_such_library", "json"),
    }
    monkeypatch.setattr(table, "ENGINES", rows)
    assert choose(model) == "present"
    with pytest.raises(BadInput, match=r'pip install "edge-passd\[wanted\]"'):
        choose(model, "absent")
    with pytest.raises(BadInput, match=r"other takes \.tflite; use --engine absent"):
        choose(model, "other")


def test_every_kind_of_model_finds_its_engine(model: Path, tmp_path: Path) -> None:
    if find_spec("torch"):
        assert choose(tmp_path) == "torch"
    if ENGINES["tflite"].library:
        tflite = tmp_path / "MODEL.TFLITE"
        tflite.write_bytes(b"x")
        assert choose(tflite) == "tflite"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"x")
    with pytest.raises(
        BadInput, match=r"photo\.jpg is no model; give \.onnx or \.passd or \.tflite or a run"
    ):
        choose(photo)
    with pytest.raises(BadInput, match="no engine 'tensorrt'; there are auto"):
        choose(model, "tensorrt")
    with pytest.raises(BadInput, match="no such model"):
        choose(tmp_path / "missing.onnx")
