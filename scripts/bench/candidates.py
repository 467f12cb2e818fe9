"""What is measured of one model: the files, and the engine for each."""

from __future__ import annotations

from pathlib import Path

import onnx
from rich.console import Console

from bench import PHOTO
from bench.full_model import Candidate
from bench.grid_sample import in_grid_sample_form
from bench.limits import Limit
from bench.models import exported, file_name, random_model
from bench.tables import OURS
from edge_passd.detector import default_model
from edge_passd.files import replacing
from targets.board import Board
from targets.compile import CompileOptions, compile_model
from targets.table import board_named, native_board

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
    limit: Limit | None = None,
) -> dict[str, Candidate]:
    """By the names of the tables; files are made in `folder`.

    float_model: the shipped model in float, .onnx or run folder, or None for random weights.
    reuse_bundles: compile only where `folder` has no bundle. limit: leaves what can be limited so.
    Raises BadInput for a model that does not compile.
    """
    case = (classes, precision, size)
    if case == SHIPPED:
        model = default_model()
    elif case == SHIPPED_FLOAT and float_model:
        model = exported(float_model, folder) if float_model.is_dir() else float_model
    else:
        model = random_model(*case, folder)
    stem = folder / file_name(*case)
    openvino = Candidate("openvino", model)
    if limit:
        bundle = Path(f"{stem}-{limit.board}.passd")
        _compile(model, bundle, board_named(limit.board), reuse_bundles)
        return {OURS: Candidate("tvm", bundle), "OpenVINO": openvino}
    other, tflite, bundle = (Path(f"{stem}{end}") for end in ("-grid.onnx", ".tflite", ".passd"))
    with replacing(other) as temporary:
        onnx.save(in_grid_sample_form(onnx.load(model)), temporary)
    _compile(model, bundle, native_board(), reuse_bundles)
    candidates = {
        OURS: Candidate("tvm", bundle),
        "onnxruntime": Candidate("onnxruntime", model),
        OTHER_FORM: Candidate("onnxruntime", other),
        "OpenVINO": openvino,
    }
    if tflite.is_file():
        candidates["LiteRT"] = Candidate("tflite", tflite)
    return candidates


def _compile(model: Path, bundle: Path, board: Board, reuse: bool) -> None:
    if not (reuse and bundle.is_file()):
        options = CompileOptions(model, bundle, board.kind, board.name, photos=PHOTO)
        compile_model(options, Console(quiet=True))
