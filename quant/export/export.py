"""`edge-passd export`: a run folder to one checked model file."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from edge_passd import saturation
from edge_passd.engines.table import ENGINES, load_engine
from edge_passd.errors import BadInput
from edge_passd.files import read_json, replacing, require_writable
from edge_passd.model_info import ModelInfo
from edge_passd.parity import FAILED_GATE, FLOAT_LIMITS, INT8_LIMITS, Parity, compare
from quant.data.reader import read_split, spread_photos
from quant.engine import TorchEngine, model_info
from quant.export.formats import FORMATS, HALF_ONNX, ONNX, Format
from quant.export.graph import round_to_half
from quant.export.share import IntegerShare, integer_share
from quant.int8.saturation import check_without_vnni
from quant.run_folder import RunFolder, load_run

DEFAULT_PHOTOS = 100


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """run: folder; output: .onnx or .tflite to write; data: where the gate's photos come from
    (None: the run's own data set); photos: how many; half: store float weights as float16."""

    run: Path
    output: Path
    data: Path | None = None
    photos: int = DEFAULT_PHOTOS
    half: bool = False


def export(options: ExportOptions, console: Console) -> ModelInfo:
    """Write the file and return what it says about itself.

    Every installed engine that runs such a file must compute what the torch model computes, an
    int8 file what the fake-quantised model computes, within `edge_passd.parity`'s limits. Of an
    int8 file it also says what x86 processors without VNNI would make of it.
    Raises BadInput when the run cannot be used, no engine is there to check with, or the gate
    fails: then what stood at `output` stays, and the failed file is kept beside it.
    """
    kind = _format(options)
    require_writable(options.output)
    model, figures = load_run(options.run)
    int8 = model.scheme is not None
    if int8 and options.half:
        raise BadInput(f"{options.run} is int8, smaller than float16; leave --half out")
    engines = [name for name in kind.engines if ENGINES[name].library]
    if not engines:
        extra = ENGINES[kind.engines[0]].extra
        raise BadInput(f'nothing to check the export with: pip install "edge-passd[{extra}]"')
    photos = gate_photos(options)
    if options.half:
        model = round_to_half(model)
    training = {
        **{k: v for k, v in figures.items() if k != "per_class"},
        "weights_sha256": hashlib.sha256(RunFolder(options.run).best.read_bytes()).hexdigest(),
    }
    if model.scheme is not None:
        training["int8"] = model.scheme.to_dict()
    info = model_info(model, training, "fp16 weights" if options.half else None)
    with replacing(options.output) as temporary:
        with console.status("converting"):
            content = kind.write(model, info)
        temporary.write_bytes(content)
        reference = TorchEngine.of(model)
        records = [_check(temporary, name, reference, photos, console) for name in engines]
        problems = [record.problem for record in records if record.problem]
        if problems:
            failed = options.output.with_name(
                f"{options.output.stem}{FAILED_GATE}{options.output.suffix[1:]}"
            )
            os.replace(temporary, failed)
            engine = next(record.engine for record in records if record.problem)
            why = saturation.problem(failed, engine)
            hint = f" ({why}; --weight-bits 7 is right everywhere)" if why else ""
            raise BadInput(f"parity gate: {problems[0]}; the file is kept as {failed}{hint}")
        about: dict[str, Any] = {"parity": [record.to_dict() for record in records]}
        if int8:
            shares = [integer_share(temporary, name, info.input_size) for name in engines]
            about["int8_share"] = [_shown(share, console).to_dict() for share in shares]
        if int8 and kind.pairs:
            about["x86"] = check_without_vnni(model, photos, console).to_dict()
        info = dataclasses.replace(info, training={**training, **about})
        temporary.write_bytes(kind.rewrite(content, info))
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
    return spread_photos(read_split(root, "val"), options.photos)


def _format(options: ExportOptions) -> Format:
    suffix = options.output.suffix.lower()
    if suffix not in FORMATS:
        raise BadInput(f"{options.output}: name a file that ends with {' or '.join(FORMATS)}")
    if not options.half:
        return FORMATS[suffix]
    if FORMATS[suffix] is not ONNX:
        raise BadInput("--half is for .onnx files; a .tflite has float32 or int8 weights")
    return HALF_ONNX


def _check(
    path: Path, name: str, reference: TorchEngine, photos: list[Path], console: Console
) -> Parity:
    limits = FLOAT_LIMITS if reference.model.scheme is None else INT8_LIMITS
    # The gate itself says what is wrong with an engine that saturates.
    engine = load_engine(path, name, allow_saturation=True)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(f"comparing with {name}", total=len(photos))
        record = compare(reference, engine, photos, limits, lambda: bars.advance(bar))
    _say(
        console,
        f"{name}: boxes within {record.boxes.error:.2g} px ({record.mean_box_error:.2g} on "
        f"average), scores within {record.scores.error:.2g}, {record.matched:.1%} of "
        f"{record.detections} detections the same on {record.photos} photos",
    )
    return record


def _shown(share: IntegerShare, console: Console) -> IntegerShare:
    _say(console, str(share))
    return share


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
