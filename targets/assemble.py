"""A bundle's content: compiled library, constants and what the manifest says of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import onnx
import tvm

from edge_passd import __version__
from edge_passd.bundle import Manifest, Plan, TargetInfo
from edge_passd.model_info import METADATA_KEY, ModelInfo
from targets.board import Board
from targets.build import build, llvm_target
from targets.dump import Dump
from targets.graph import Attend, Convolution, Graph, Image, Layer, Merge
from targets.lower import lower
from targets.passes.read_onnx import integer_share
from targets.tiles import Tiles, tiles_of
from targets.toolchain import link

LIBRARY, CONSTANTS = "model.so", "constants.bin"


def assemble(
    model: onnx.ModelProto, graph: Graph, board: Board, precision: str, linker: str,
    runtime: Mapping[str, bytes], dump: Dump | None = None, tiles: Tiles | None = None,
) -> tuple[Manifest, dict[str, bytes]]:  # fmt: skip
    """Manifest, without a parity record, and files.

    runtime: libraries to carry, in the order in which they are loaded. tiles: other than the
    board's own. Raises BadInput for a model that is not ours.
    """
    lowered = lower(graph, board.arithmetic_of(precision), tiles or tiles_of(board, precision))
    compiled = build(lowered.module, llvm_target(board))
    if dump:
        dump.lowered(lowered, compiled)
    manifest = Manifest(
        model=info_of(model, "the model"),
        target=TargetInfo(
            board.kind, board.name, board.triple, board.machine, board.cpu, board.features
        ),
        precision=precision,
        int8_share=integer_share(graph),
        plan=Plan(
            LIBRARY, CONSTANTS, tuple(runtime), lowered.workspace.size, graph.boxes, graph.classes
        ),
        parity=(),
        operators=tuple(operator_row(layer) for layer in graph.layers),
        compiler={
            "edge-passd": __version__,
            "apache-tvm": version("apache-tvm"),
            "llvm": str(tvm.target.codegen.llvm_version_major()),
        },
    )
    files = {LIBRARY: link(compiled, linker), CONSTANTS: lowered.constants.content, **runtime}
    return manifest, files


def info_of(model: onnx.ModelProto, where: str) -> ModelInfo:
    """What the model says about itself; BadInput, with `where` in it, if it is not ours."""
    properties = {each.key: each.value for each in model.metadata_props}
    return ModelInfo.from_json(properties.get(METADATA_KEY), where)


def operator_row(layer: Layer) -> Mapping[str, Any]:
    """What the manifest says of an operator, in the order in which `run` numbers them."""
    return {"name": layer.name, "kind": _kind(layer), "macs": getattr(layer, "macs", 0)}


def _kind(layer: Layer) -> str:
    if isinstance(layer, Convolution):
        if layer.depthwise:
            return f"depthwise 3x3, stride {layer.stride}"
        return f"convolution {layer.kernel}x{layer.kernel}, stride {layer.stride}"
    return {Image: "image", Merge: "upsample and add", Attend: "propose and attend"}[type(layer)]
