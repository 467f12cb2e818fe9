"""The operators that detectors trip over. Each has a tiny model of its own in `operators/`."""

from __future__ import annotations

from dataclasses import dataclass

from edge_passd.offset_sample import NAME

FLOAT, HALF = 1e-4, 0.03  # absolute; what the cases compute is below 100, half's below 30
EXACT = 0.0
# Of the output's scale in the integer cases: runtimes round ties their own way.
ONE_STEP, ONE_WIDE_STEP = 0.5, 4.0

# Where the only instruction adds two products of a u8 and an s8 in 16 bits, onnxruntime and
# OpenVINO use it all the same.
SATURATES = "sums of int8 weights over the full range saturate on this processor (no VNNI)"


@dataclass(frozen=True)
class Case:
    """title: for people. operators: of ONNX, what the case tells of. tolerance: absolute.

    limit: why some processors compute it wrong, which is then no fault of the engine; or "".
    """

    title: str
    operators: tuple[str, ...]
    tolerance: float
    limit: str = ""


# In the order in which they are shown. Made by scripts/make_doctor_cases.py.
CASES = {
    "conv": Case("Conv, dilated", ("Conv",), FLOAT),
    "depthwise_conv": Case("Conv, depthwise", ("Conv",), FLOAT),
    "conv_fp16": Case("Conv, fp16", ("Conv",), HALF),
    "conv_qdq": Case("Conv, int8 QDQ", ("QuantizeLinear", "DequantizeLinear", "Conv"), ONE_STEP),
    "conv_qdq_full": Case(
        "Conv, int8, full range",
        ("QuantizeLinear", "DequantizeLinear"),
        ONE_WIDE_STEP,
        SATURATES,
    ),
    "qlinear_conv": Case("QLinearConv", ("QLinearConv",), ONE_STEP),
    "deform_conv": Case("DeformConv", ("DeformConv",), FLOAT),
    "grid_sample_zeros": Case("GridSample, zeros", ("GridSample",), FLOAT),
    "grid_sample_zeros_corners": Case("GridSample, zeros, corners", ("GridSample",), FLOAT),
    "grid_sample_border": Case("GridSample, border", ("GridSample",), FLOAT),
    "grid_sample_border_corners": Case("GridSample, border, corners", ("GridSample",), FLOAT),
    "offset_sample": Case("OffsetSample", (NAME,), FLOAT),
    "resize_nearest": Case("Resize, nearest x2", ("Resize",), EXACT),
    "resize_linear": Case("Resize, linear x2", ("Resize",), FLOAT),
    "gather": Case("Gather", ("Gather",), EXACT),
    "gather_elements": Case("GatherElements", ("GatherElements",), EXACT),
    "gather_nd": Case("GatherND", ("GatherND",), EXACT),
    "topk": Case("TopK", ("TopK",), EXACT),
    "non_max_suppression": Case("NonMaxSuppression", ("NonMaxSuppression",), EXACT),
    "softmax": Case("Softmax, 601 classes", ("Softmax",), FLOAT),
    "hard_swish": Case("HardSwish", ("HardSwish",), FLOAT),
    "relu6": Case("Clip (ReLU6)", ("Clip",), EXACT),
    "sigmoid": Case("Sigmoid", ("Sigmoid",), FLOAT),
    "split_concat": Case("Split, Concat", ("Split", "Concat"), EXACT),
}
