"""The engines: installed, of which version, and whether they compute what they should."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from edge_passd.board.identity import JETSON, PC
from edge_passd.detector import default_model
from edge_passd.doctor.answers import FOLDER, MODEL_ANSWER, model_answer
from edge_passd.doctor.cases import SATURATES
from edge_passd.doctor.child import Call, Outcome, call
from edge_passd.doctor.finding import BROKEN, LIMITED, MISSING, OK, OPTIONAL, UNTRIED, Finding
from edge_passd.doctor.runners import RUNNERS
from edge_passd.doctor.trials import (
    CONFORMANT,
    CONVOLUTION,
    CRASHED,
    Verdict,
    cuda_gpu,
    torch_model,
    try_convolution,
    try_shipped_model,
)
from edge_passd.engines.cuda_driver import capability_name, version_name
from edge_passd.engines.table import ENGINES, ONNX, TFLITE
from edge_passd.errors import BadInput
from edge_passd.saturation import saturates

LIMIT_S = 30.0  # for loading a library and a model on a slow board
SATURATION_CURE = "int8 models with weights of 7 bits (edge-passd qat), or compiled ones"

# What each engine is put through; those that bundles bring along need a bundle.
TRIALS = {
    "onnxruntime": Call(try_shipped_model, ("onnxruntime",)),
    "openvino": Call(try_shipped_model, ("openvino",)),
    "tflite": Call(try_convolution, (RUNNERS["tflite"][0], FOLDER / f"{CONVOLUTION}{TFLITE[0]}")),
    "torch": Call(try_convolution, (torch_model, FOLDER)),
}


def check_engines(kind: str, quick: bool, limit_s: float = LIMIT_S) -> Iterator[Finding]:
    """kind: of the board. quick: without trying them. limit_s: for each."""
    yield model_finding()
    for name in ENGINES:
        yield _check(name, kind, quick, limit_s)
    if not any(row.library for row in ENGINES.values() if row.takes == ONNX):
        yield Finding(
            "an engine", MISSING, "none runs the model that ships with the package",
            'pip install "edge-passd[onnxruntime]"',
        )  # fmt: skip


def model_finding(answer: Path = MODEL_ANSWER) -> Finding:
    """The file of the model that ships with the package. answer: what is known of it."""
    name, cure = "shipped model", 'pip install --force-reinstall "edge-passd"'
    try:
        path = default_model()
    except BadInput as error:
        return Finding(name, MISSING, str(error), cure)
    if hashlib.sha256(path.read_bytes()).hexdigest() != model_answer(answer).sha256:
        return Finding(name, BROKEN, f"{path.name} is changed or damaged: its sha256", cure)
    return Finding(name, OK, f"{path.name}, {path.stat().st_size / 1e6:.1f} MB, whole")


def installed(library: str) -> str:
    """The package of a module and its version."""
    names = packages_distributions().get(library, [])
    if not names:
        return f"{library}, of unknown version"
    try:
        return f"{names[0]} {version(names[0])}"
    except PackageNotFoundError:
        return f"{names[0]}, of unknown version"


def _check(name: str, kind: str, quick: bool, limit_s: float) -> Finding:
    row = ENGINES[name]
    if name == "cuda":
        return cuda_finding(kind, call(cuda_gpu, limit_s=limit_s))
    if not row.libraries:
        kinds = " or ".join(row.bundles)
        return Finding(
            name, UNTRIED, f"comes along with each bundle for {kinds}",
            "edge-passd bench YOUR.passd tries one",
        )  # fmt: skip
    library = row.library
    if library is None:
        return Finding(name, OPTIONAL, "not installed", f'pip install "edge-passd[{row.extra}]"')
    if quick or name not in TRIALS:
        return Finding(name, UNTRIED, installed(library))
    trial = TRIALS[name]
    outcome = call(trial.function, *trial.arguments, limit_s=limit_s)
    verdict = outcome.value or Verdict(CRASHED, outcome.problem)
    found = f"{installed(library)}: {verdict.reason}"
    if verdict.state == CONFORMANT:
        if name in RUNNERS and call(saturates, name, limit_s=limit_s).value:
            return Finding(name, LIMITED, f"{found}; {SATURATES}", SATURATION_CURE)
        return Finding(name, OK, found)
    cure = f'pip install --force-reinstall "edge-passd[{row.extra}]"'
    return Finding(name, BROKEN, found, cure)


def cuda_finding(kind: str, outcome: Outcome) -> Finding:
    """kind: of the board; outcome: of `trials.cuda_gpu`."""
    if outcome.problem:
        return Finding("cuda", BROKEN, outcome.problem, "nvidia-smi tells more, on a PC")
    if outcome.value is not None:
        gpu = outcome.value
        architecture, release = capability_name(gpu.capability), version_name(gpu.driver)
        return Finding("cuda", OK, f"{gpu.name}, {architecture}, driver for CUDA {release}")
    if kind == JETSON:
        return Finding(
            "cuda", MISSING, "no driver",
            "sudo apt-get install nvidia-l4t-cuda; in a container: --runtime nvidia",
        )  # fmt: skip
    cure = "for a GPU: sudo apt-get install nvidia-driver" if kind == PC else ""
    return Finding("cuda", OPTIONAL, "no NVIDIA driver", cure)
