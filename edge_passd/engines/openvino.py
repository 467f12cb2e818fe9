"""OpenVINO on the CPU, with `OffsetSample` as its own GridSample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino.frontend import FrontEndManager
from openvino.frontend.onnx import ConversionExtension

from edge_passd.engines.base import INPUT, OUTPUTS, cannot_load, check_image, check_model
from edge_passd.files import require_file
from edge_passd.model_info import METADATA_KEY
from edge_passd.offset_sample import DOMAIN, NAME, TAP_COLUMNS, TAP_ROWS, TAPS

_METADATA_PATH = ["framework", METADATA_KEY]


class OpenVinoEngine:
    """See `edge_passd.engines.base.Engine`."""

    name = "openvino"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        require_file(path, "an .onnx model")
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Left alone, it computes in bfloat16 where the processor can.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = read_model(path)
            compiled = openvino.Core().compile_model(model, "CPU", settings)
        except Exception as error:  # its errors share no base class but Exception
            raise cannot_load(path, self.name, error) from error
        has_metadata = model.has_rt_info(_METADATA_PATH)
        self.metadata = model.get_rt_info(_METADATA_PATH).astype(str) if has_metadata else None
        info = check_model(
            path,
            self.metadata,
            {each.any_name: tuple(each.shape) for each in compiled.inputs},
            [name for each in compiled.outputs for name in each.names],
        )
        self._size = info.input_size
        self._request = compiled.create_infer_request()

    def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_image(image, self._size)
        results = self._request.infer({INPUT: image})
        boxes, scores = (results[name] for name in OUTPUTS)
        return boxes, scores


def read_model(path: Path) -> openvino.Model:
    """The graph, `OffsetSample` included; raises whatever OpenVINO raises for a broken file."""
    # The ONNX reader by name: Core.read_model offers an unknown file to every reader it has, and
    # some of them complain on stderr.
    reader = FrontEndManager().load_by_framework("onnx")
    reader.add_extension(ConversionExtension(NAME, DOMAIN, _offset_sample))
    return reader.convert(reader.load(str(path)))


def _offset_sample(node: Any) -> Any:
    """`OffsetSample` (see `edge_passd.offset_sample`): one GridSample over anchors x taps maps."""
    projected, points_box = node.get_input(0), node.get_input(1)
    anchors, outputs = node.get_attribute("anchors"), node.get_attribute("outputs")
    height, width = (projected.get_partial_shape()[axis].get_length() for axis in (2, 3))
    maps = anchors * TAPS

    def constant(values: Any) -> Any:
        return ops.constant(np.asarray(values, np.float32))

    def shaped(value: Any, *shape: int) -> Any:
        return ops.reshape(value, ops.constant(np.array(shape, np.int64)), False)

    centre_and_size = shaped(points_box, anchors, 4, 1, height, width)
    part = ops.split(centre_and_size, ops.constant(1, np.int64), 4).outputs()
    cy, cx, h, w = (shaped(each, anchors, 1, height, width) for each in part)
    y = ops.add(cy, ops.multiply(h, constant(TAP_ROWS.reshape(-1, 1, 1) / 3)))
    x = ops.add(cx, ops.multiply(w, constant(TAP_COLUMNS.reshape(-1, 1, 1) / 3)))
    # align_corners=False puts cell i at (2 i + 1) / n - 1, which holds for a map one cell wide.
    grid_y = ops.subtract(
        ops.multiply(ops.add(y, constant(0.5)), constant(2 / height)), constant(1)
    )
    grid_x = ops.subtract(ops.multiply(ops.add(x, constant(0.5)), constant(2 / width)), constant(1))
    grid = ops.concat(
        [shaped(grid_x, maps, height, width, 1), shaped(grid_y, maps, height, width, 1)], 3
    )
    sampled = ops.grid_sample(
        shaped(projected, maps, outputs, height, width),
        grid,
        {"align_corners": False, "mode": "bilinear", "padding_mode": "zeros"},
    )
    taps = shaped(sampled, 1, anchors, TAPS, outputs, height, width)
    return ops.reduce_sum(taps, ops.constant(2, np.int64), False).outputs()
