"""The offset convolution alone, in every form that an engine can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import openvino
from openvino import opset8 as ops
from openvino.frontend import FrontEndManager
from openvino.frontend.onnx import ConversionExtension

from bench.offset_case import OffsetCase, Prepared, expected
from bench.offset_compiled import compiled
from bench.rounds import interleave
from bench.tables import OURS
from edge_passd.engines.openvino import read_model

TOLERANCE = 1e-3

# Loads a form, given the case, files of it by kind (see `offset_files`), and the number of threads.
Prepare = Callable[[OffsetCase, Mapping[str, Path], int], Prepared]


def milliseconds(
    case: OffsetCase, files: Mapping[str, Path], threads: int, rounds: int, burst: int
) -> dict[str, np.ndarray]:
    """Of all levels: for each form's name a (rounds, burst) array.

    files: by kind. Raises ArithmeticError for a form that does not compute what it should.
    """
    wanted = expected(case)
    runs = {}
    for name, prepare in FORMS.items():
        prepared = prepare(case, files, threads)
        found = prepared.maps(prepared.run())
        error = max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True))
        if not error < TOLERANCE:
            raise ArithmeticError(
                f"{name} does not compute the offset convolution: {error:.2g} off"
            )
        runs[name] = prepared.run
    return {name: 1e3 * each for name, each in interleave(runs, rounds, burst).items()}


def _onnxruntime(kind: str, case: OffsetCase, files: Mapping[str, Path], threads: int) -> Prepared:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(files[kind], options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in case.inputs.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    run = partial(session.run_with_iobinding, binding)
    return Prepared(run, lambda _: binding.copy_outputs_to_cpu())


def _openvino(
    kind: str,
    case: OffsetCase,
    files: Mapping[str, Path],
    threads: int,
    read: Callable[[Path], openvino.Model] = read_model,
) -> Prepared:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    model = openvino.Core().compile_model(read(files[kind]), "CPU", settings)
    request = model.create_infer_request()
    for name, array in case.inputs.items():
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    run = partial(request.infer, share_outputs=True)
    return Prepared(run, lambda results: list(results.values()))


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


# To add one: a row here.
FORMS: dict[str, Prepare] = {
    OURS: lambda case, _, threads: compiled(case, threads),
    "onnxruntime, DeformConv": partial(_onnxruntime, "DeformConv"),
    "onnxruntime, GridSample": partial(_onnxruntime, "GridSample"),
    "onnxruntime, gather (edge-passd's export)": partial(_onnxruntime, "OffsetSample"),
    "OpenVINO, deformable convolution": partial(
        _openvino, "DeformConv", read=_with_deformable_convolution
    ),
    "OpenVINO, GridSample": partial(_openvino, "GridSample"),
    "OpenVINO, edge-passd's export": partial(_openvino, "OffsetSample"),
}
