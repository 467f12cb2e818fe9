"""Makes what `edge-passd doctor` tries engines on: tiny models of one operator each, and answers.

.venv/bin/python scripts/make_doctor_cases.py

Writes edge_passd/doctor/operators/: for each case CASE.onnx and, where TFLite has such an operator,
CASE.tflite; inputs and expected outputs of all of them in answers.npz; and in model.npz some of the
outputs of the model that ships with the package for the cat, to be made anew with every such model.
Expected are ONNX's own definitions of the operators (its reference evaluator), in float64 where
nothing rounds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from edge_passd.bench.photos import CAT
from edge_passd.detector import Detector, default_model
from edge_passd.doctor.answers import ANSWERS, FOLDER, MODEL_ANSWER
from edge_passd.doctor.cases import CASES
from edge_passd.doctor.trials import CONVOLUTION
from edge_passd.files import replacing
from edge_passd.offset_sample import DOMAIN, TAPS, offset_sample
from edge_passd.photo import read_photo
from quant.export.operator import function

OPSET, DEFORM_CONV_OPSET = 18, 19  # as our export, and the first with DeformConv
EVALUATOR_OPSET = 19  # it lacks the quantised operators of older ones
IR_VERSION = 9
EVERY = 17  # of the model's default boxes: no stride, so all of its levels and anchors

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Graph:
    """nodes: in ONNX's text form, from `inputs` and `constants` to `outputs`.

    rounds: it computes in integers or whole numbers, so the expected is not taken in float64.
    """

    nodes: tuple[str, ...]
    inputs: Arrays
    constants: Arrays = field(default_factory=dict)
    outputs: tuple[str, ...] = ("y",)
    opset: int = OPSET
    rounds: bool = False

    def model(self, name: str, evaluated: bool = False) -> onnx.ModelProto:
        """evaluated: for the reference evaluator, in float64 unless it `rounds`."""
        wide = evaluated and not self.rounds
        inputs, constants = _widened(self.inputs, wide), _widened(self.constants, wide)
        known = [
            helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for key, v in inputs.items()
        ]
        graph = helper.make_graph(
            # The evaluator knows opset 20's name of the mode only.
            [
                parser.parse_node(node.replace("bilinear", "linear") if evaluated else node)
                for node in self.nodes
            ],
            name,
            known,
            [helper.make_empty_tensor_value_info(key) for key in self.outputs],
            [numpy_helper.from_array(value, key) for key, value in constants.items()],
        )
        imports = [helper.make_opsetid("", EVALUATOR_OPSET if evaluated else self.opset)]
        functions = []
        if any(DOMAIN in node for node in self.nodes):
            imports.append(helper.make_opsetid(DOMAIN, 1))
            functions.append(function())
        return helper.make_model(
            graph, opset_imports=imports, functions=functions, ir_version=IR_VERSION
        )

    def run(self, name: str) -> list[np.ndarray]:
        """What ONNX's definitions of the operators give."""
        evaluator = ReferenceEvaluator(self.model(name, evaluated=True))
        return evaluator.run(None, _widened(self.inputs, not self.rounds))


def _widened(arrays: Mapping[str, np.ndarray], wide: bool) -> Arrays:
    return {
        key: value.astype(np.float64) if wide and value.dtype.kind == "f" else value
        for key, value in arrays.items()
    }


def graphs() -> dict[str, Graph]:
    """By the name of the case in `edge_passd.doctor.cases`."""
    rng = np.random.default_rng(0)

    def some(*shape: int, scale: float = 1.0) -> np.ndarray:
        """On a grid of sixteenths, which compresses well and which halves hold."""
        return (rng.integers(-32, 33, shape) / 16 * scale).astype(np.float32)

    def near(*shape: int) -> np.ndarray:
        """Sampling points in -1.25..1.25: inside the map, on its border and outside."""
        return (rng.integers(-80, 81, shape) / 64).astype(np.float32)

    def indices(limit: int, *shape: int) -> np.ndarray:
        return rng.integers(0, limit, shape)

    x, weights, bias = some(1, 4, 9, 9), some(6, 4, 3, 3), some(6)
    table = some(512, 2)
    integers = {
        "x_scale": np.float32(0.125),
        "x_zero": np.uint8(128),
        # Of two products of a u8 and one of these the sum fits in 16 bits.
        "w": rng.integers(-63, 64, (6, 4, 3, 3)).astype(np.int8),
        "w_scale": (rng.integers(1, 9, 6) / 512).astype(np.float32),
        "w_zero": np.zeros(6, np.int8),
        "b": rng.integers(-2000, 2000, 6).astype(np.int32),
        "b_scale": np.zeros(6, np.float32),
        "y_scale": np.float32(0.5),
        "y_zero": np.uint8(120),
    }
    integers["b_scale"] = integers["w_scale"] * integers["x_scale"]
    full_range = {
        **integers,
        "w": rng.choice(np.array([-127, 127, 90], np.int8), (6, 4, 3, 3)),
        "y_scale": np.float32(4.0),
    }
    wide_x = some(1, 4, 9, 9, scale=8)
    qdq = (
        "xq = QuantizeLinear(x, x_scale, x_zero)",
        "xd = DequantizeLinear(xq, x_scale, x_zero)",
        "wd = DequantizeLinear<axis=0>(w, w_scale, w_zero)",
        "bd = DequantizeLinear<axis=0>(b, b_scale)",
        "c = Conv<pads=[1, 1, 1, 1]>(xd, wd, bd)",
        "cq = QuantizeLinear(c, y_scale, y_zero)",
        "y = DequantizeLinear(cq, y_scale, y_zero)",
    )
    samples = {
        f"grid_sample_{padding}{'_corners' * corners}": Graph(
            (
                f'y = GridSample<mode="bilinear", padding_mode="{padding}", '
                f"align_corners={corners}>(x, grid)",
            ),
            {"x": some(1, 3, 5, 7), "grid": near(1, 6, 6, 2)},
        )
        for padding in ("zeros", "border")
        for corners in (0, 1)
    }
    corners = np.sort(indices(64, 1, 40, 2, 2), axis=2).reshape(1, 40, 4).astype(np.float32)
    corners[..., 2:] += 8
    return {
        "conv": Graph(
            ("y = Conv<dilations=[2, 2], pads=[2, 2, 2, 2]>(x, w, b)",),
            {"x": x},
            {"w": weights, "b": bias},
        ),
        "depthwise_conv": Graph(
            ("y = Conv<group=4, strides=[2, 2], pads=[0, 0, 1, 1]>(x, w)",),
            {"x": some(1, 4, 8, 8)},
            {"w": some(4, 1, 3, 3)},
        ),
        "conv_fp16": Graph(
            ("y = Conv<pads=[1, 1, 1, 1]>(x, w)",),
            {"x": x.astype(np.float16)},
            {"w": weights.astype(np.float16)},
        ),
        "conv_qdq": Graph(qdq, {"x": wide_x}, integers, rounds=True),
        "conv_qdq_full": Graph(qdq, {"x": wide_x}, full_range, rounds=True),
        "qlinear_conv": Graph(
            (
                "xq = QuantizeLinear(x, x_scale, x_zero)",
                "cq = QLinearConv<pads=[1, 1, 1, 1]>"
                "(xq, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, b)",
                "y = DequantizeLinear(cq, y_scale, y_zero)",
            ),
            {"x": wide_x},
            {key: value for key, value in integers.items() if key != "b_scale"},
            rounds=True,
        ),
        "deform_conv": Graph(
            ("y = DeformConv<pads=[1, 1, 1, 1]>(x, w, offset)",),
            {"x": x, "offset": some(1, 18, 9, 9)},
            {"w": weights},
            opset=DEFORM_CONV_OPSET,
        ),
        **samples,
        "offset_sample": Graph(
            (f"y = {DOMAIN}.OffsetSample<anchors=2, outputs=3>(projected, boxes)",),
            {"projected": some(1, 2 * TAPS * 3, 4, 5), "boxes": some(1, 2, 4, 4, 5) * 2 + 2},
        ),
        "resize_nearest": Graph(
            (
                'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", '
                'nearest_mode="floor">(x, , scales)',
            ),
            {"x": some(1, 3, 4, 5)},
            {"scales": np.array([1, 1, 2, 2], np.float32)},
        ),
        "resize_linear": Graph(
            (
                'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">'
                "(x, , scales)",
            ),
            {"x": some(1, 3, 4, 5)},
            {"scales": np.array([1, 1, 2, 2], np.float32)},
        ),
        "gather": Graph(("y = Gather(x, i)",), {"x": table, "i": indices(512, 4096)}),
        "gather_elements": Graph(
            ("y = GatherElements<axis=0>(x, i)",), {"x": table, "i": indices(512, 2048, 2)}
        ),
        "gather_nd": Graph(
            ("y = GatherND(x, i)",),
            {"x": table, "i": np.stack([indices(512, 2048), indices(2, 2048)], -1)},
        ),
        "topk": Graph(
            ("y, i = TopK(x, k)",),
            {"x": (rng.permutation(3000) / 256).astype(np.float32)[None]},
            {"k": np.array([200])},
            ("y", "i"),
        ),
        "non_max_suppression": Graph(
            ("y = NonMaxSuppression(boxes, scores, most, iou, least)",),
            {
                "boxes": corners,
                "scores": (rng.permutation(80) / 80).astype(np.float32).reshape(1, 2, 40),
            },
            {
                "most": np.array([40]),
                "iou": np.array([0.45], np.float32),
                "least": np.array([0.1], np.float32),
            },
        ),
        "softmax": Graph(("y = Softmax<axis=-1>(x)",), {"x": some(2, 601, scale=8)}),
        "hard_swish": Graph(("y = HardSwish(x)",), {"x": some(3, 40, scale=3)}),
        "relu6": Graph(
            ("y = Clip(x, least, most)",),
            {"x": some(3, 40, scale=5)},
            {"least": np.float32(0), "most": np.float32(6)},
        ),
        "sigmoid": Graph(("y = Sigmoid(x)",), {"x": some(3, 40, scale=20)}),
        "split_concat": Graph(
            ("a, b = Split<axis=1>(x, parts)", "y = Concat<axis=1>(b, a)"),
            {"x": some(1, 5, 3, 3)},
            {"parts": np.array([2, 3])},
        ),
    }  # fmt: skip


# The evaluator knows nothing of the first, and trips over more indices than there are rows.
IN_NUMPY = {
    "offset_sample": lambda projected, boxes: offset_sample(
        projected.astype(np.float64), boxes.astype(np.float64), outputs=3
    ),
    "gather_elements": lambda x, i: np.take_along_axis(x, i, axis=0),
}


def expected(name: str, graph: Graph) -> Arrays:
    """What the operator is defined to give; float32 where it is a float."""
    found = [IN_NUMPY[name](**graph.inputs)] if name in IN_NUMPY else graph.run(name)
    return {
        key: value.astype(np.float32) if value.dtype.kind == "f" else value
        for key, value in zip(graph.outputs, found, strict=True)
    }


def model_of(name: str, graph: Graph, outputs: Arrays) -> onnx.ModelProto:
    """The case's model, with outputs of the types of `outputs`, or half where the input is."""
    model = graph.model(name)
    for info in model.graph.output:
        given = outputs[info.name]
        half = graph.inputs.get("x", given).dtype == np.float16
        dtype = np.dtype(np.float16) if half else given.dtype
        info.CopyFrom(
            helper.make_tensor_value_info(
                info.name, helper.np_dtype_to_tensor_dtype(dtype), [None] * given.ndim
            )
        )
    return model


def write_operators(tflite: bool) -> None:
    """The models, and answers.npz."""
    made = graphs()
    if made.keys() != CASES.keys():
        raise SystemExit(f"other cases than in the table: {made.keys() ^ CASES.keys()}")
    arrays: dict[str, Any] = {}
    for name, graph in made.items():
        outputs = expected(name, graph)
        model = model_of(name, graph, outputs)
        onnx.checker.check_model(model, full_check=True)
        _write(FOLDER / f"{name}.onnx", model.SerializeToString(deterministic=True))
        arrays |= {f"{name}/in/{key}": value for key, value in graph.inputs.items()}
        arrays |= {f"{name}/out/{key}": value for key, value in outputs.items()}
        if name == CONVOLUTION:  # for an engine that takes no file
            arrays |= {f"{name}/constant/{key}": value for key, value in graph.constants.items()}
    with replacing(ANSWERS) as temporary:
        np.savez_compressed(temporary, **arrays)
    if tflite:
        import torch

        from doctor_tflite import modules
        from quant.export.tflite import convert

        for name, module in modules({key: graph.constants for key, graph in made.items()}).items():
            inputs = {key: torch.from_numpy(v) for key, v in made[name].inputs.items()}
            _write(FOLDER / f"{name}.tflite", convert(module.eval(), inputs))


def write_model_answer() -> None:
    """By onnxruntime without its optimisations: what the file says, step by step."""
    model = default_model()
    detector = Detector(model, engine="onnxruntime")
    tensor, _ = detector.preprocess(read_photo(CAT))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options)
    boxes, scores = (each[0] for each in session.run(["boxes", "scores"], {"image": tensor}))
    best = np.argsort(-scores[:, 1:].max(1))[:20]
    index = np.union1d(best, np.arange(0, len(boxes), EVERY))
    with replacing(MODEL_ANSWER) as temporary:
        np.savez_compressed(
            temporary,
            index=index,
            boxes=boxes[index],
            scores=scores[index],
            sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
        )


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    print(f"{len(content):7d} {path.name}")


@click.command()
@click.option("--tflite/--no-tflite", default=True, help="Make the TFLite models too.")
@click.option("--model-only", is_flag=True, help="Only model.npz, for another shipped model.")
def main(tflite: bool, model_only: bool) -> None:
    """Make the doctor's cases."""
    FOLDER.mkdir(exist_ok=True)
    if not model_only:
        write_operators(tflite)
    write_model_answer()


if __name__ == "__main__":
    main()
