"""Older processors than the one at hand: code for them alone, where an engine can be told so."""

from __future__ import annotations

from dataclasses import dataclass

ONEDNN_VARIABLE = "ONEDNN_MAX_CPU_ISA"  # read when OpenVINO is loaded


@dataclass(frozen=True)
class Limit:
    """board: our preset. onednn: what oneDNN, in OpenVINO, calls it. says: for people."""

    board: str
    onednn: str
    says: str


LIMITS = {
    "avx2": Limit(
        "x86-64-v3", "AVX2",
        "Code for processors with AVX2 and without VNNI, run on this one: bundles for "
        f"`x86-64-v3`, OpenVINO with {ONEDNN_VARIABLE}=AVX2, with which its int8 saturates as it "
        "does on such a processor. onnxruntime and LiteRT cannot be limited so and are left out.",
    ),
}  # fmt: skip
