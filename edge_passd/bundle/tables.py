"""A bundle's manifest as tables for people: what `edge-passd inspect` shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_passd.bundle.manifest import Manifest
from edge_passd.bundle.plan import CudaPlan, Launch
from edge_passd.fields import is_size
from edge_passd.model_info import ModelInfo
from edge_passd.saturation import verdict

TOP = 15  # operators, unless all are asked for
DIGEST_DIGITS = 16  # of a sha256, enough to tell files apart


def show(manifest: Manifest, path: Path, console: Console, every_operator: bool = False) -> None:
    """Print identity, files, parity and operators of the bundle at `path`."""
    console.print(_pairs(path.name, _identity(manifest)))
    training = manifest.model.training
    if training:
        console.print(_pairs("training", training.items()))
    files = [
        {"file": name, "MB": each.bytes / 1e6, "sha256": each.sha256[:DIGEST_DIGITS]}
        for name, each in manifest.files.items()
    ]
    console.print(_rows("files", files))
    plan, operators = manifest.plan, manifest.operators
    if isinstance(plan, CudaPlan):
        console.print(_images(plan))
        launches = zip(operators, plan.launches, strict=True)
        operators = tuple({**operator, **_launch(launch)} for operator, launch in launches)
    if manifest.parity:
        for record in manifest.parity:
            console.print(_pairs("parity with the model it was compiled from", record.items()))
    if operators:
        show_operators(operators, console, every_operator)


def show_model(info: ModelInfo, path: Path, console: Console) -> None:
    """Print identity and provenance of the .onnx or .tflite file at `path`."""
    console.print(_pairs(path.name, _model_identity(info, path)))
    if info.training:
        console.print(_pairs("training", info.training.items()))


def _model_identity(info: ModelInfo, path: Path) -> Iterable[tuple[str, Any]]:
    yield from _of_model(info)
    yield "precision", info.precision
    yield from _thresholds(info)
    yield "on x86", verdict(path, info)
    yield "size", f"{path.stat().st_size / 1e6:.1f} MB"


def _of_model(model: ModelInfo) -> Iterable[tuple[str, Any]]:
    yield "model", model.name
    yield "classes", ", ".join(model.classes)
    yield "input", f"{model.input_size} x {model.input_size} pixels, {model.resize}"


def _thresholds(model: ModelInfo) -> Iterable[tuple[str, Any]]:
    yield "score threshold", model.score_threshold
    yield "at most", f"{model.max_detections} detections, NMS at IoU {model.nms_iou}"


def show_operators(
    operators: Sequence[Mapping[str, Any]], console: Console, every: bool = False
) -> None:
    """Print the largest ones, or all."""
    console.print(_operators(operators, every))


def _identity(manifest: Manifest) -> Iterable[tuple[str, Any]]:
    model, target, plan = manifest.model, manifest.target, manifest.plan
    yield from _of_model(model)
    yield "boxes", plan.boxes
    yield "precision", _precision(manifest)
    yield from _thresholds(model)
    yield "target", f"{target.kind}: {target.board}"
    yield "compiled for", f"{target.cpu}, {target.triple}"
    if isinstance(plan, CudaPlan):
        yield "needs", "an NVIDIA driver, on any machine with Linux and 64 bits"
        yield "GPU memory", f"{_working_bytes(manifest) / 1e6:.1f} MB, and the kernels"
    else:
        yield "needs", " ".join((target.machine, *target.features))
        yield "working memory", f"{_working_bytes(manifest) / 1e6:.1f} MB"
        yield "runtime", _runtime(plan.runtime)
    yield from manifest.compiler.items()


def _precision(manifest: Manifest) -> str:
    if manifest.int8_share is None:
        return manifest.precision
    return f"{manifest.precision}, {manifest.int8_share:.1%} of the multiplications on integers"


def _working_bytes(manifest: Manifest) -> int:
    """The constants are copied once, to where they are aligned."""
    return manifest.plan.workspace_bytes + manifest.files[manifest.plan.constants].bytes


def _images(plan: CudaPlan) -> Table:
    rows = [
        {
            "kernels": image.file,
            "for": image.architecture + (" and newer" if image.ptx_version else ""),
            "as": f"PTX {image.ptx_version}" if image.ptx_version else "machine code",
            "compiled by": f"CUDA {image.toolkit}",
            "driver": "CUDA {}.{} or newer".format(*image.cuda),
        }
        for image in plan.images
    ]
    return _rows("images: the GPU gets the one that suits it best", rows)


def _launch(launch: Launch) -> dict[str, Any]:
    """blocks x threads; their other dimensions are seldom more than 1."""
    blocks, threads = (
        "x".join(str(n) for n in extent if n > 1) or "1" for extent in (launch.grid, launch.block)
    )
    return {"blocks of threads": f"{blocks} of {threads}"}


def _runtime(libraries: Sequence[str]) -> str:
    if libraries:
        return "in the bundle"
    return 'not in the bundle: pip install "edge-passd[targets]"'


def _operators(operators: Sequence[Mapping[str, Any]], every: bool) -> Table:
    total = sum(each["macs"] for each in operators) or 1
    shown = sorted(operators, key=lambda each: -each["macs"])[: None if every else TOP]
    rows = [
        {
            "operator": each["name"],
            "kind": each["kind"],
            "MMAC": each["macs"] / 1e6,
            "share": f"{each['macs'] / total:.1%}",
            **_more(each),
        }
        for each in shown
    ]
    left = len(operators) - len(shown)
    table = _rows(f"operators: {len(operators)}, {total / 1e6:,.1f} MMAC a photo", rows)
    table.caption = f"{left} smaller ones; --all shows them" if left else None
    return table


def _more(operator: Mapping[str, Any]) -> dict[str, Any]:
    """What else the compiler knows of an operator; "bytes", if it is a size, in MB."""
    more = {key: operator[key] for key in operator if key not in ("name", "kind", "macs")}
    if is_size(more.get("bytes")):
        more = {"MB": more.pop("bytes") / 1e6, **more}
    return more


def _pairs(title: str, pairs: Iterable[tuple[str, Any]]) -> Table:
    table = Table(title=_text(title), show_header=False)
    for key, value in pairs:
        table.add_row(_text(key), _text(value))
    return table


def _rows(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row for each object, one column for each key that any of them has."""
    table = Table(title=_text(title))
    keys = list(dict.fromkeys(key for row in rows for key in row))
    for key in keys:
        numbers = all(type(row.get(key, 0)) in (int, float) for row in rows)
        table.add_column(_text(key), justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(_text(row.get(key, "-")) for key in keys))
    return table


def _text(value: Any) -> Text:
    """A cell; what a terminal would take for a command is made visible."""
    if isinstance(value, float):
        shown = f"{value:.4g}"
    elif isinstance(value, str):
        shown = value
    else:
        shown = json.dumps(value, ensure_ascii=False)
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown))
