"""The offset convolution alone, in every form that an engine can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import openvino
from openvino import opset8 as ops
from openvino.frontend import FrontEndManager
from openvino.frontend.onnx import ConversionExtension

from bench.offset_case import OffsetCase, expected
from bench.rounds import interleave
from edge_passd.engines.openvino import read_model

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Prepared:
    """A loaded form with its inputs bound.

    run: what is timed; all levels. maps: what `run` returned, to (1, A, D, H, W) for each level;
    not timed, for a form that keeps its maps in another layout.
    """

    run: Callable[[], Any]
    maps: Callable[[Any], list[np.ndarray]] = list


@dataclass(frozen=True)
class Form:
    """kind: of the file it runs, see `offset_files.KINDS`. prepare: load it, given the file, the
    inputs by name and the number of threads."""

    kind: str
    prepare: Callable[[Path, Mapping[str, np.ndarray], int], Prepared]


def milliseconds(
    case: OffsetCase, files: Mapping[str, Path], threads: int, rounds: int, burst: int
) -> dict[str, np.ndarray]:
    """Of all levels: for each form's name a (rounds, burst) array.

    files: by kind. Raises ArithmeticError for a form that does not compute what it should.
    """
    wanted = expected(case)
    runs = {}
    for name, form in FORMS.items():
        prepared = form.prepare(files[form.kind], case.inputs, threads)
        found = prepared.maps(prepared.run())
        error = max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True))
        if not error < TOLERANCE:
            raise ArithmeticError(
                f"{name} does not compute the offset convolution: {error:.2g} off"
            )
        runs[name] = prepared.run
    return {name: 1e3 * each for name, each in interleave(runs, rounds, burst).items()}


def _onnxruntime(path: Path, inputs: Mapping[str, np.ndarray], threads: int) -> Prepared:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Prepared(partial(session.run, None, dict(inputs)))


def _openvino(
    path: Path,
    inputs: Mapping[str, np.ndarray],
    threads: int,
    read: Callable[[Path], openvino.Model] = read_model,
) -> Prepared:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    request = openvino.Core().compile_model(read(path), "CPU", settings).create_infer_request()
    return Prepared(partial(request.infer, dict(inputs)), lambda results: list(results.values()))


def _with_deformable_convolution(path: Path) -> openvino.Model:
    """A DeformConv file, which OpenVINO's reader does not know, with its own operation for it."""
    reader = FrontEndManager().load_by_framework("onnx")
    reader.add_extension(ConversionExtension("DeformConv", "", _deformable_convolution))
    return reader.convert(reader.load(str(path)))


def _deformable_convolution(node: Any) -> Any:
    features, filters, offsets, bias = (node.get_input(i) for i in range(4))
    ones, pads = [1, 1], [1, 1]
    output = ops.deformable_convolution(
        features, offsets, filters, ones, pads, pads, ones, bilinear_interpolation_pad=True
    )
    column = ops.constant(np.array([1, -1, 1, 1]))
    return ops.add(output, ops.reshape(bias, column, False)).outputs()


# To add one: a row here. Ours is called `bench.tables.OURS`.
FORMS: dict[str, Form] = {
    "onnxruntime, DeformConv": Form("DeformConv", _onnxruntime),
    "onnxruntime, GridSample": Form("GridSample", _onnxruntime),
    "onnxruntime, gather (edge-passd's export)": Form("OffsetSample", _onnxruntime),
    "OpenVINO, deformable convolution": Form(
        "DeformConv", partial(_openvino, read=_with_deformable_convolution)
    ),
    "OpenVINO, GridSample": Form("GridSample", _openvino),
    "OpenVINO, edge-passd's export": Form("OffsetSample", _openvino),
}
