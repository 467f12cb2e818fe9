"""`edge-passd compile`: an .onnx model to one checked bundle for a board."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from rich.console import Console

from edge_passd import onnx_file
from edge_passd.bundle import Manifest, write_bundle
from edge_passd.bundle.tables import show_operators
from edge_passd.engines.base import check_model
from edge_passd.errors import BadInput
from edge_passd.files import require_file, require_writable
from edge_passd.model_info import METADATA_KEY
from edge_passd.saturation import require_promise
from targets.backend import Preset, backend_of
from targets.dump import Dump
from targets.graph import Graph
from targets.passes import PASSES
from targets.passes.read_onnx import integer_share, read_onnx
from targets.photos import gate_photos


@dataclass(frozen=True)
class CompileOptions:
    """model: .onnx file. target: a name in `targets.table.TARGETS`. board: a preset, or None.

    precision: asked for, or None for the model's own. photos: a photo or folder to check with, or
    None. runtime: carry TVM's runtime libraries. dump: folder for what the compiler thinks.
    """

    model: Path
    output: Path
    target: str
    board: str | None = None
    precision: str | None = None
    photos: Path | None = None
    runtime: bool = True
    dump: Path | None = None


def compile_model(options: CompileOptions, console: Console) -> Manifest:
    """Write the bundle and return its manifest.

    The bundle must compute what the model's graph means, see `targets.gate`. Raises BadInput for a
    model or board that cannot be compiled for, a missing toolchain, or when the gate fails: then
    what stood at `output` stays.
    """
    started = time.monotonic()
    if options.output.suffix.lower() != ".passd":
        raise BadInput(f"{options.output}: name a file that ends with .passd")
    require_writable(options.output)
    if options.dump and options.dump.exists() and not options.dump.is_dir():
        raise BadInput(f"{options.dump} is a file; name a folder for --dump")
    backend = backend_of(options.target, options.board, options.runtime)
    model = read_model(options.model)
    photos = gate_photos(options.photos)
    dump = Dump(options.dump)
    graph = lowered_graph(model, str(options.model), dump)
    precision = precision_of(graph, options, backend.precisions)
    with console.status(f"compiling {len(graph.layers)} operators for {backend.board.name}"):
        made = backend.assemble(model, graph, precision, dump)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, options.output.name)
        write_bundle(trial, made.manifest, made.files)
        record = made.check(trial, photos, console)
    manifest = replace(made.manifest, parity=(record,))
    write_bundle(options.output, manifest, made.files)
    summarise(manifest, backend.board, options.output, time.monotonic() - started, console)
    return manifest


def read_model(path: Path) -> onnx.ModelProto:
    """Raises BadInput for a file that is missing, no ONNX model, or not one of ours."""
    if path.is_dir() or path.suffix.lower() != ".onnx":
        raise BadInput(f"{path}: compile takes an .onnx model; write one with `edge-passd export`")
    require_file(path, "an .onnx model")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's errors share no base but Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path}: no valid ONNX model ({reason}); export it again") from error
    metadata = {each.key: each.value for each in model.metadata_props}.get(METADATA_KEY)
    shapes = {each.name: _shape(each) for each in model.graph.input}
    info = check_model(path, metadata, shapes, [each.name for each in model.graph.output])
    require_promise(info, onnx_file.read(path).weights, str(path))
    return model


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Zero for a dimension that is not fixed."""
    return tuple(each.dim_value for each in value.type.tensor_type.shape.dim)


def lowered_graph(model: onnx.ModelProto, where: str, dump: Dump | None = None) -> Graph:
    """The model as our operators, after all passes; `where` names it in errors."""
    dump = dump or Dump(None)
    graph = read_onnx(model, where)
    dump.graph(0, "read_onnx", graph)
    for number, each in enumerate(PASSES, 1):
        graph = each(graph)
        dump.graph(number, each.__name__, graph)
    return graph


def precision_of(
    graph: Graph, options: CompileOptions, precisions: Mapping[str, Sequence[str]]
) -> str:
    """precisions: what each kind of model can become on the target.

    Raises BadInput when another one is asked for.
    """
    found = "int8" if integer_share(graph) == 1 else "fp32"
    wanted = options.precision or precisions[found][0]
    if wanted in precisions[found]:
        return wanted
    if wanted not in {each for possible in precisions.values() for each in possible}:
        has = " or ".join(dict.fromkeys(each for row in precisions.values() for each in row))
        raise BadInput(f"{options.target} has no {wanted} kernels; compile for {has}")
    run = "an int8 run (`edge-passd qat`)" if wanted == "int8" else "a float run"
    raise BadInput(
        f"{options.model} is {found}, which compiling does not change to {wanted}; "
        f"export {run} instead"
    )


def summarise(
    manifest: Manifest, board: Preset, output: Path, seconds: float, console: Console
) -> None:
    """What was made, as a table and a few lines."""
    show_operators(manifest.operators, console)
    (record,) = manifest.parity
    same = f", {record['matched']:.1%} of {record['detections']} detections the same"
    console.print(
        f"{record['ran']} on {record['photos']} pictures: boxes within {record['boxes']:.2g} px, "
        f"scores within {record['scores']:.2g}{same if record['detections'] else ''}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(
        f"{output}: {manifest.model.name} for {board.name} ({board.says}), "
        f"{manifest.precision}, {manifest.int8_share:.0%} of the multiplications on integers, "
        f"{output.stat().st_size / 1e6:.1f} MB, {seconds:.0f} s",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
