"""What an engine is put through: operators, the shipped model, a user's model.

These functions run in a child process (see `child`) and return what can be pickled.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_passd.bench.photos import CAT
from edge_passd.detector import Detector, default_model
from edge_passd.doctor.answers import (
    ANSWERS,
    MODEL_ANSWER,
    OperatorAnswer,
    model_answer,
    operator_answer,
)
from edge_passd.doctor.cases import CASES
from edge_passd.doctor.runners import Arrays, Model
from edge_passd.engines.base import reason
from edge_passd.engines.cuda_driver import LIBRARY, GpuInfo, this_gpu
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from edge_passd.parity import INT8_LIMITS, Parity, Worst
from edge_passd.photo import read_photo

CONVOLUTION = "depthwise_conv"
CONFORMANT, WRONG, UNSUPPORTED, CRASHED = "ok", "wrong", "unsupported", "crashed"
_BATCH, _SIDE = 1, 320  # where a user's model leaves its shape open
_SHOWN_SCORE = 0.5

Loader = Callable[[Path], Model]


@dataclass(frozen=True)
class Verdict:
    """state: CONFORMANT, WRONG, LIMITED (wrong, for a reason that the case gives), UNSUPPORTED or
    CRASHED. reason: in one line; of a conformant model what it computes, of an operator "".

    error: the largest, absolute; None where the outputs cannot be compared.
    """

    state: str
    reason: str = ""
    error: float | None = None


def try_operator(
    load: Loader, path: Path, name: str, tolerance: float, answers: Path = ANSWERS
) -> Verdict:
    """One case's model against its answer."""
    answer = operator_answer(name, answers)
    try:
        model = load(path)
        found = model.run(
            {key: answer.inputs[key].astype(dtype) for key, (_, dtype) in model.inputs.items()}
        )
    except Exception as error:  # each library has its own
        return Verdict(UNSUPPORTED, reason(error))
    return _judge(found, answer, tolerance)


def _judge(found: Arrays, answer: OperatorAnswer, tolerance: float) -> Verdict:
    worst = 0.0
    for name, expected in answer.outputs.items():
        if name not in found or found[name].shape != expected.shape:
            shape = found[name].shape if name in found else "absent"
            return Verdict(WRONG, f"output {name} is {shape}, not {expected.shape}")
        if not np.isfinite(found[name]).all():
            return Verdict(WRONG, f"output {name} holds values that are not numbers")
        difference = np.abs(found[name].astype(np.float64) - expected)
        worst = max(worst, float(difference.max(initial=0)))
    if worst > tolerance:
        return Verdict(WRONG, f"off by {worst:.3g}, allowed {tolerance:g}", worst)
    return Verdict(CONFORMANT, error=worst)


def try_shipped_model(engine: str, answer_path: Path = MODEL_ANSWER) -> Verdict:
    """On the cat's photo. Raises BadInput if it does not load or computes no numbers."""
    path, answer = default_model(), model_answer(answer_path)
    detector = Detector.from_engine(load_engine(path, engine))
    tensor, placement = detector.preprocess(read_photo(CAT))
    boxes, scores = detector.infer(tensor)
    errors = {
        "boxes": np.abs(boxes[answer.index] - answer.boxes),
        "scores": np.abs(scores[answer.index] - answer.scores),
    }
    worst = {
        name: Worst(
            float(error.max()),
            CAT.name,
            int(answer.index[row := error.max(1).argmax()]),
            getattr(answer, name)[row].tolist(),
            {"boxes": boxes, "scores": scores}[name][answer.index[row]].tolist(),
        )
        for name, error in errors.items()
    }
    parity = Parity(
        engine, 1, **worst,
        mean_box_error=float(errors["boxes"].mean()),
        mean_score_error=float(errors["scores"].mean()),
        matched=1.0, detections=0, limits=INT8_LIMITS,
    )  # fmt: skip
    if parity.problem:
        return Verdict(WRONG, parity.problem.removeprefix(f"{engine}: "))
    found = detector.postprocess(boxes, scores, placement).filter(_SHOWN_SCORE)
    pairs = zip(found.names, found.scores, strict=True)
    seen = ", ".join(f"{name} {score:.2f}" for name, score in pairs) or "nothing"
    error = parity.boxes.error
    return Verdict(CONFORMANT, f"finds {seen}, within {error:.2g} px of the stored answer")


def try_model(load: Loader, path: Path) -> str:
    """Whether a user's model loads and gives finite outputs. Raises what the library does."""
    model = load(path)
    rng = np.random.default_rng(0)
    inputs = {name: _random(rng, *spec) for name, spec in model.inputs.items()}
    outputs = model.run(inputs)
    for name, value in outputs.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise BadInput(f"output {name} holds values that are not numbers, for random input")
    shapes = ", ".join(f"{name} {_times(value.shape)}" for name, value in outputs.items())
    return f"loads and computes {shapes}"


def _random(rng: np.random.Generator, shape: tuple[int | None, ...], dtype: np.dtype) -> np.ndarray:
    """Bytes from 0 to 255, other numbers from 0 to 1."""
    sizes = [n if n is not None else _SIDE if axis else _BATCH for axis, n in enumerate(shape)]
    most = 256 if dtype == np.uint8 else 1
    return np.asarray(rng.random(sizes) * most).astype(dtype)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def try_convolution(load: Loader, path: Path) -> Verdict:
    """The smallest of trials."""
    verdict = try_operator(load, path, CONVOLUTION, CASES[CONVOLUTION].tolerance)
    if verdict.state != CONFORMANT:
        return Verdict(verdict.state, f"a convolution: {verdict.reason}")
    return Verdict(CONFORMANT, "computes a convolution as it should")


def torch_model(_: Path) -> Model:
    """The same convolution in PyTorch."""
    import torch

    def run(inputs: Arrays) -> Arrays:
        x = torch.nn.functional.pad(torch.from_numpy(inputs["x"]), (0, 1, 0, 1))
        weight = torch.from_numpy(operator_answer(CONVOLUTION).constants["w"])
        return {"y": torch.nn.functional.conv2d(x, weight, stride=2, groups=4).numpy()}

    return Model({"x": ((1, 4, 8, 8), np.dtype(np.float32))}, run)


def cuda_gpu() -> GpuInfo | None:
    """None without a driver. Raises BadInput for a driver without a GPU or one that fails."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    return this_gpu()
