"""The detector: photo in, detections out, the same on every engine."""

from __future__ import annotations

import hashlib
import threading
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from edge_passd import boxes as geometry
from edge_passd.detections import Detections
from edge_passd.engines.base import Engine
from edge_passd.engines.table import AUTO, load_engine
from edge_passd.errors import BadInput
from edge_passd.model_info import ModelInfo
from edge_passd.photo import as_bgr, read_photo
from edge_passd.postprocess import nms, select, soft_nms
from edge_passd.preprocess import Placement, Preprocessor, to_input, to_photo


class Detector:
    """A model with its pre- and post-processing.

    model: an .onnx or .tflite file, a .passd bundle or a run folder; None is the model that ships
    with the package.
    engine: a name in `engines.table.ENGINES`, or "auto", the first installed that takes the model.
    threads: of the computation; None leaves the choice to the engine.
    soft_nms: overlapping boxes lose score instead of being dropped.
    allow_saturation: run an int8 model whose sums saturate on this processor, see
    `edge_passd.saturation`; it finds other boxes than elsewhere.
    Raises BadInput for a model or engine that cannot be used.
    """

    def __init__(
        self,
        model: str | PathLike[str] | None = None,
        engine: str = AUTO,
        threads: int | None = None,
        soft_nms: bool = False,
        allow_saturation: bool = False,
    ) -> None:
        path = default_model() if model is None else Path(model)
        self._set(load_engine(path, engine, threads, allow_saturation), path, soft_nms)

    @classmethod
    def from_engine(cls, engine: Engine, soft_nms: bool = False) -> Detector:
        """A detector around an engine that is loaded already."""
        detector = cls.__new__(cls)
        detector._set(engine, None, soft_nms)
        return detector

    def _set(self, engine: Engine, path: Path | None, soft_nms: bool) -> None:
        self._engine, self._path, self._soft_nms = engine, path, soft_nms
        self._where = str(path) if path else f"the {engine.name} engine's model"
        self.info = ModelInfo.from_json(engine.metadata, self._where)
        self._own = _ThreadsOwn(self.info.input_size, self.info.resize)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.info.classes

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self._engine.name

    @cached_property
    def model_sha256(self) -> str | None:
        """Hexadecimal digest of the model file; None for a run folder or a model in memory."""
        if self._path is None or not self._path.is_file():
            return None
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    def detect(self, image: np.ndarray | str | PathLike[str]) -> Detections:
        """What is in one photo: an image array (see `photo.as_bgr`) or the path of a photo.

        Detections from the model's score threshold up; `filter` them for show. Raises BadInput
        for a photo that cannot be read or a broken model, ValueError for an unfit array.
        """
        pixels = image if isinstance(image, np.ndarray) else read_photo(Path(image))
        tensor, placement = self._own.preprocessor(as_bgr(pixels))
        return self.postprocess(*self.infer(tensor), placement)

    def preprocess(self, image: np.ndarray) -> tuple[np.ndarray, Placement]:
        """An image array to the (1, 3, S, S) float32 model input and its placement in it.

        The tensor is the caller's to keep; `detect` uses one of its own again and again.
        """
        return to_input(as_bgr(image), self.info.input_size, self.info.resize)

    def infer(self, tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Model input to boxes (N, 4) in input pixels and scores (N, C); BadInput if broken."""
        boxes, scores = (output[0] for output in self._engine.run(tensor))
        wanted = (len(boxes), 4), (len(boxes), len(self.classes) + 1)
        if (boxes.shape, scores.shape) != wanted:
            raise BadInput(
                f"{self._where} is broken: boxes {boxes.shape} and scores {scores.shape} do not "
                f"fit {len(self.classes)} classes; export it again"
            )
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise BadInput(
                f"{self._where} is broken: it computes values that are not numbers (NaN or "
                "infinite); train or export it again"
            )
        return boxes, scores

    def postprocess(
        self, boxes: np.ndarray, scores: np.ndarray, placement: Placement
    ) -> Detections:
        """Outputs of `infer` to detections in photo pixels."""
        info = self.info
        chosen, best, labels = select(boxes, scores, info.score_threshold, info.max_detections)
        inside = geometry.clip(chosen, info.input_size, info.input_size)
        if self._soft_nms:
            kept, best = soft_nms(inside, best, labels, info.score_threshold)
        else:
            kept = nms(inside, best, labels, info.nms_iou)
            best = best[kept]
        photo_boxes = to_photo(inside[kept], placement)
        # In the margin of a letterbox there is no photo, so nothing can be found there.
        on_photo = geometry.area(photo_boxes) > 0
        return Detections(
            photo_boxes[on_photo], best[on_photo], labels[kept][on_photo], self.classes
        )


class _ThreadsOwn(threading.local):
    """What each thread that calls `detect` has for itself; made when it first does."""

    def __init__(self, size: int, resize: str) -> None:
        self.preprocessor = Preprocessor(size, resize)


def default_model() -> Path:
    """The model that ships with the package; BadInput when this installation has none."""
    models = sorted((Path(__file__).parent / "models").glob("*.onnx"))
    if len(models) != 1:
        raise BadInput("this installation of edge-passd carries no model; name one: MODEL.onnx")
    return models[0]
