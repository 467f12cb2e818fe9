from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import fake_models
import numpy as np
import pytest

import edge_passd
from edge_passd.boxes import iou
from edge_passd.detector import Detector, default_model
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo


class FakeEngine:
    """Answers with given outputs; remembers its input."""

    name = "fake"

    def __init__(self, boxes: np.ndarray, scores: np.ndarray, resize: str = "stretch") -> None:
        self.metadata = ModelInfo("fake", ("dog", "cat"), 64, resize).to_json()
        self._outputs = boxes[None].astype(np.float32), scores[None].astype(np.float32)

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.image = image
        return self._outputs


@pytest.mark.parametrize("engine", ["auto", "onnxruntime", "openvino"])
def test_a_photo_from_array_and_from_file(
    model: Path, astronaut: np.ndarray, tmp_path: Path, engine: str
) -> None:
    if engine != "auto":
        pytest.importorskip(engine)
    detector = edge_passd.Detector(model, engine, threads=1)
    found = detector.detect(astronaut)
    means = astronaut.mean(axis=(0, 1))[::-1] / 255
    order = np.argsort(-means)
    assert found.names == tuple(fake_models.COLOURS[i] for i in order)
    np.testing.assert_allclose(found.scores, means[order], atol=0.01)
    np.testing.assert_allclose(found.boxes, fake_models.COLOUR_BOXES[order] * 512 / 64)
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (
        np.float32,
        np.float32,
        np.int64,
    )
    path = tmp_path / "astronaut.png"
    cv2.imwrite(str(path), astronaut)
    for name in (path, str(path)):
        assert detector.detect(name).to_dict() == found.to_dict()


def test_what_it_says_about_itself(model: Path, detector: Detector) -> None:
    assert detector.classes == fake_models.COLOURS
    assert detector.info == fake_models.COLOUR_INFO
    assert detector.engine == "onnxruntime"
    assert detector.model_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()


def test_grey_and_alpha_images(detector: Detector, cat: np.ndarray) -> None:
    grey = cv2.cvtColor(cat, cv2.COLOR_BGR2GRAY)
    np.testing.assert_allclose(detector.detect(grey).scores, grey.mean() / 255, atol=0.01)
    assert detector.detect(grey[..., None]).to_dict() == detector.detect(grey).to_dict()
    alpha = cv2.cvtColor(cat, cv2.COLOR_BGR2BGRA)
    assert detector.detect(alpha).to_dict() == detector.detect(cat).to_dict()


def test_a_float_image_is_a_value_error(detector: Detector, cat: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        detector.detect(cat.astype(np.float32))


def test_overlaps_are_suppressed_per_class_or_softened(cat: np.ndarray) -> None:
    boxes = np.array([[0, 0, 32, 32], [2, 0, 34, 32], [0, 0, 32, 32], [-9, -9, -1, -1]])
    scores = np.array([[0.1, 0.9, 0], [0.2, 0.8, 0], [0.3, 0, 0.7], [0.4, 0.6, 0]])
    hard = Detector.from_engine(FakeEngine(boxes, scores)).detect(cat)
    assert hard.names == ("dog", "cat")  # the box left of the photo has no area in it
    soft = Detector.from_engine(FakeEngine(boxes, scores), soft_nms=True).detect(cat)
    assert soft.names == ("dog", "cat", "dog")
    overlap = iou(boxes[:1].astype(float), boxes[1:2].astype(float))[0, 0]
    assert soft.scores[2] == pytest.approx(0.8 * np.exp(-(overlap**2) / 0.5))


def test_only_what_lies_in_the_photo_competes(cat: np.ndarray) -> None:
    # Whole, these overlap by a quarter; in the photo they are the same box.
    boxes = np.array([[0, 0, 32, 32], [-96, 0, 32, 32]])
    scores = np.array([[0.1, 0.9, 0], [0.2, 0.8, 0]])
    assert len(Detector.from_engine(FakeEngine(boxes, scores)).detect(cat)) == 1


def test_letterbox_maps_boxes_back_and_drops_what_lies_in_the_margin() -> None:
    wide = np.full((50, 200, 3), 255, np.uint8)  # 64 x 16 in the input, from row 24 to row 40
    boxes = np.array([[16, 24, 48, 40], [0, 0, 64, 64], [0, 0, 64, 20]])
    scores = np.array([[0.1, 0.9, 0], [0.3, 0, 0.7], [0.5, 0.5, 0]])
    engine = FakeEngine(boxes, scores, "letterbox")
    found = Detector.from_engine(engine).detect(wide)
    assert found.boxes.tolist() == [[50, 0, 150, 50], [0, 0, 200, 50]]
    assert engine.image[0, 0, 30, 5] == 255
    assert engine.image[0, 0, 20, 5] != 255


def test_at_most_two_hundred_above_the_threshold(cat: np.ndarray) -> None:
    left = np.arange(300) * 0.2
    boxes = np.stack([left, 0 * left, left + 0.1, 0 * left + 64], axis=1)
    scores = np.linspace(0, 1, 300)[:, None] * [0, 1, 0]
    found = Detector.from_engine(FakeEngine(boxes, scores)).detect(cat)
    assert len(found) == 200
    assert (np.diff(found.scores) < 0).all()
    weak = Detector.from_engine(FakeEngine(boxes, scores / 100)).detect(cat)
    assert weak.scores.tolist() == pytest.approx([0.01])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["boxes", "scores"])
def test_values_that_are_no_numbers_are_a_broken_model(
    cat: np.ndarray, value: float, where: str
) -> None:
    outputs = {"boxes": np.zeros((2, 4)), "scores": np.zeros((2, 3))}
    outputs[where][1, 1] = value
    with pytest.raises(BadInput, match=r"fake.*broken.*not numbers"):
        Detector.from_engine(FakeEngine(outputs["boxes"], outputs["scores"])).detect(cat)


@pytest.mark.parametrize("shapes", [((2, 4), (2, 4)), ((2, 4), (3, 3)), ((2, 5), (2, 3))])
def test_outputs_that_do_not_fit_the_classes_are_a_broken_model(
    cat: np.ndarray, shapes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    boxes, scores = (np.zeros(shape) for shape in shapes)
    with pytest.raises(BadInput, match="do not fit 2 classes"):
        Detector.from_engine(FakeEngine(boxes, scores)).detect(cat)


def test_the_stages_are_the_whole(detector: Detector, cat: np.ndarray) -> None:
    tensor, placement = detector.preprocess(cat)
    by_stage = detector.postprocess(*detector.infer(tensor), placement)
    assert by_stage.to_dict() == detector.detect(cat).to_dict()


def test_a_tensor_is_the_callers_to_keep(detector: Detector, photos: dict) -> None:
    tensor, _ = detector.preprocess(photos["cat.jpg"])
    kept = tensor.copy()
    for photo in photos.values():
        detector.preprocess(photo)
        detector.detect(photo)
    np.testing.assert_array_equal(tensor, kept)


def test_threads_detect_side_by_side_each_in_its_own_photo(photos: dict) -> None:
    meet = threading.Barrier(len(photos), timeout=30)

    class Slow(FakeEngine):
        def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            meet.wait()  # all are prepared before any is looked at
            seen[threading.get_ident()].append(image.copy())
            return super().run(image)

    seen: dict[int, list[np.ndarray]] = defaultdict(list)
    detector = Detector.from_engine(Slow(np.zeros((1, 4)), np.zeros((1, 3))))

    def work(photo: np.ndarray) -> int:
        for _ in range(3):
            detector.detect(photo)
        return threading.get_ident()

    with ThreadPoolExecutor(len(photos)) as pool:
        threads = list(pool.map(work, photos.values()))
    for photo, thread in zip(photos.values(), threads, strict=True):
        assert len(seen[thread]) == 3
        for image in seen[thread]:
            np.testing.assert_array_equal(image, detector.preprocess(photo)[0])


def test_the_model_of_the_package_is_there_or_its_absence_is_explained() -> None:
    models = list((Path(edge_passd.__file__).parent / "models").glob("*.onnx"))
    if models:
        assert [default_model()] == models
    else:
        with pytest.raises(BadInput, match="carries no model"):
            Detector()
