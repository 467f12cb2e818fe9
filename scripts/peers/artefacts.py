"""What the project's report compares: the shipped model in all its forms, and the peers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from edge_passd.files import replacing, require_file
from edge_passd.model_info import ModelInfo
from edge_passd.tflite_file import read as read_tflite
from peers.peer import digest
from peers.table import PEERS, files_of

INT8, FP32 = "int8", "fp32"


@dataclass(frozen=True)
class Artefact:
    """name: of its row's file, without suffix. peer: its name in `PEERS`; None if it is ours.

    sha256: of what is measured, hexadecimal; None where a file is missing. baseline: name of the
    float one on the same engine, which its accuracy is compared with.
    """

    name: str
    path: Path
    engine: str
    sha256: str | None
    peer: str | None = None
    baseline: str | None = None


@dataclass(frozen=True)
class Sources:
    """Where our own come from.

    name: of the model. int8: .onnx. fp32: .onnx, a run folder, or None. tflite: files of either
    precision. models: folder where what has to be made is made and kept.
    """

    name: str
    int8: Path
    fp32: Path | None
    tflite: Sequence[Path]
    models: Path


def make_ours(
    sources: Sources, data: Path, photos: Path, console: Console
) -> tuple[list[Artefact], Path]:
    """Our artefacts and the reference, the compiled int8 bundle; compiles and exports what lacks.

    data, photos: for the gates of export and compile. Raises BadInput as those do.
    """
    onnx = {INT8: _kept(sources.int8, sources, INT8)}
    tflite = dict(_by_precision(sources))
    if sources.fp32 is None:
        console.print("no fp32 model: give --float MODEL to compare with it")
    elif sources.fp32.is_dir():
        for suffix, made in ((".onnx", onnx), (".tflite", tflite)):
            if FP32 not in made:
                made[FP32] = _exported(sources.fp32, _path(sources, FP32, suffix), data, console)
    else:
        onnx[FP32] = _kept(sources.fp32, sources, FP32)
    for precision in (each for each in onnx if each not in tflite):
        console.print(f"no {precision} TFLite model: give --tflite FILE to compare with it")
    bundles = {
        precision: _compiled(path, _path(sources, precision, ".passd"), photos, console)
        for precision, path in onnx.items()
    }
    files = (("onnxruntime", onnx), ("openvino", onnx), ("tflite", tflite), ("tvm", bundles))
    artefacts = [
        Artefact(
            f"{sources.name}-{precision}-{engine}",
            path,
            engine,
            _sha256(path),
            baseline=f"{sources.name}-{FP32}-{engine}" if precision == INT8 else None,
        )
        for engine, by_precision in files
        for precision, path in by_precision.items()
    ]
    return artefacts, bundles[INT8]


def peers(folder: Path) -> Iterator[Artefact]:
    """All peers, those whose files lack as well: they become rows that say so."""
    for each in PEERS:
        files = files_of(each, folder)
        sha256 = digest(files) if all(path.is_file() for path in files) else None
        name = each.name.lower().replace(" ", "-")
        yield Artefact(f"{name}-{each.engine}", files[-1], each.engine, sha256, each.name)


def _path(sources: Sources, precision: str, suffix: str) -> Path:
    return sources.models / f"{sources.name}-{precision}{suffix}"


def _kept(source: Path, sources: Sources, precision: str) -> Path:
    """A copy with a name that says what it is: the row tells the file's name."""
    require_file(source, "a model")
    path = _path(sources, precision, source.suffix)
    if not path.is_file() or path.read_bytes() != source.read_bytes():
        with replacing(path) as temporary:
            shutil.copyfile(source, temporary)
    return path


def _by_precision(sources: Sources) -> Iterator[tuple[str, Path]]:
    for path in sources.tflite:
        precision = ModelInfo.from_json(read_tflite(path)[1], str(path)).precision
        yield precision, _kept(path, sources, precision)


def _exported(run: Path, path: Path, data: Path, console: Console) -> Path:
    from quant.export.export import ExportOptions, export

    if not path.is_file():
        export(ExportOptions(run, path, data), console)
    return path


def _compiled(model: Path, path: Path, photos: Path, console: Console) -> Path:
    """The bundle for this machine, made anew when the model is newer."""
    if path.is_file() and path.stat().st_mtime >= model.stat().st_mtime:
        return path
    from targets.compile import CompileOptions, compile_model
    from targets.table import NATIVE, native_board

    options = CompileOptions(model, path, native_board().kind, NATIVE, photos=photos)
    compile_model(options, console)
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
