"""What is measured of one model: the files, and the engine for each."""

from __future__ import annotations

from pathlib import Path

import onnx
from rich.console import Console

from bench import PHOTO
from bench.full_model import Candidate
from bench.grid_sample import in_grid_sample_form
from bench.models import exported, file_name, random_model
from bench.tables import OURS
from edge_passd.detector import default_model
from edge_passd.files import replacing
from targets.compile import CompileOptions, compile_model
from targets.table import NATIVE, native_board

SHIPPED = (6, "int8", 320)  # classes with the background, precision, pixels
SHIPPED_FLOAT = (6, "fp32", 320)
OTHER_FORM = "onnxruntime, GridSample"


def candidates_for(
    classes: int,
    precision: str,
    size: int,
    folder: Path,
    float_model: Path | None,
    reuse_bundles: bool,
) -> dict[str, Candidate]:
    """By the names of the tables; files are made in `folder`.

    float_model: the shipped model in float, .onnx or run folder, or None for random weights.
    reuse_bundles: compile only where `folder` has no bundle. Raises BadInput for a model that does
    not compile.
    """
    case = (classes, precision, size)
    if case == SHIPPED:
        model = default_model()
    elif case == SHIPPED_FLOAT and float_model:
        model = exported(float_model, folder) if float_model.is_dir() else float_model
    else:
        model = random_model(*case, folder)
    stem = folder / file_name(*case)
    other, tflite, bundle = (Path(f"{stem}{end}") for end in ("-grid.onnx", ".tflite", ".passd"))
    with replacing(other) as temporary:
        onnx.save(in_grid_sample_form(onnx.load(model)), temporary)
    if not (reuse_bundles and bundle.is_file()):
        options = CompileOptions(model, bundle, native_board().kind, NATIVE, photos=PHOTO)
        compile_model(options, Console(quiet=True))
    candidates = {
        OURS: Candidate("tvm", bundle),
        "onnxruntime": Candidate("onnxruntime", model),
        OTHER_FORM: Candidate("onnxruntime", other),
        "OpenVINO": Candidate("openvino", model),
    }
    if tflite.is_file():
        candidates["LiteRT"] = Candidate("tflite", tflite)
    return candidates
