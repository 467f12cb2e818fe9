"""`edge-passd export`: a run folder to one checked ONNX file."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

import onnx
from rich.console import Console
from rich.progress import Progress

from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from edge_passd.files import read_json, replacing, require_writable
from edge_passd.model_info import ModelInfo
from quant.data.reader import read_split
from quant.engine import TorchEngine, model_info
from quant.export.graph import round_to_half, to_onnx, with_half_weights, with_metadata
from quant.export.parity import Parity, compare
from quant.run_folder import RunFolder, load_run

GATE_ENGINES = ("onnxruntime", "openvino")
DEFAULT_PHOTOS = 16


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """run: folder; output: .onnx to write; data: where the gate's photos come from (None: the
    run's own data set); photos: how many; half: store the weights as float16."""

    run: Path
    output: Path
    data: Path | None = None
    photos: int = DEFAULT_PHOTOS
    half: bool = False


def export(options: ExportOptions, console: Console) -> ModelInfo:
    """Write the file and return what it says about itself.

    Raises BadInput when the run cannot be used, no engine is there to check with, or the gate
    fails: then what stood at `output` stays, and the failed file is kept beside it.
    """
    require_writable(options.output)
    model, figures = load_run(options.run)
    photos = gate_photos(options)
    engines = [name for name in GATE_ENGINES if find_spec(name)]
    if not engines:
        raise BadInput('nothing to check the export with: pip install "edge-passd[onnxruntime]"')
    if options.half:
        model = round_to_half(model)
    graph = to_onnx(model)
    graph = with_half_weights(graph) if options.half else graph
    training = {
        **{k: v for k, v in figures.items() if k != "per_class"},
        "weights_sha256": hashlib.sha256(RunFolder(options.run).best.read_bytes()).hexdigest(),
    }
    info = model_info(model, training, precision="fp16 weights" if options.half else "fp32")
    with replacing(options.output) as temporary:
        _write(temporary, with_metadata(graph, info))
        records = [
            _check(temporary, name, TorchEngine.of(model), photos, console) for name in engines
        ]
        problems = [record.problem for record in records if record.problem]
        if problems:
            failed = options.output.with_suffix(".failed.onnx")
            os.replace(temporary, failed)
            raise BadInput(f"parity gate: {problems[0]}; the file is kept as {failed}")
        info = dataclasses.replace(
            info, training={**training, "parity": [record.to_dict() for record in records]}
        )
        _write(temporary, with_metadata(graph, info))
    return info


def gate_photos(options: ExportOptions) -> list[Path]:
    """Validation photos, spread evenly over the split."""
    root = options.data
    if root is None:
        training = RunFolder(options.run).training
        root = Path(str(read_json(training, "a run's training.json").get("data")))
        if not root.is_dir():
            raise BadInput(
                f"{root}: the run's data set is gone; the parity gate needs photos: give --data"
            )
    samples = read_split(root, "val").samples
    step = max(1, len(samples) // options.photos)
    return [sample.path for sample in samples[::step][: options.photos]]


def _check(
    path: Path, name: str, reference: TorchEngine, photos: list[Path], console: Console
) -> Parity:
    engine = load_engine(path, name)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(f"comparing with {name}", total=len(photos))
        record = compare(reference, engine, photos, lambda: bars.advance(bar))
    console.print(
        f"{name}: boxes within {record.boxes.error:.2g} px, scores within "
        f"{record.scores.error:.2g}, {record.matched:.1%} of {record.detections} detections the "
        f"same on {record.photos} photos",
        highlight=False,
        soft_wrap=True,
    )
    return record


def _write(path: Path, graph: onnx.ModelProto) -> None:
    path.write_bytes(graph.SerializeToString(deterministic=True))
