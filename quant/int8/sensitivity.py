"""`edge-passd qat --sensitivity`: which layers lose the accuracy? One group at a time in int8."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from edge_passd.detector import Detector
from edge_passd.errors import BadInput
from edge_passd.evaluation import evaluate
from edge_passd.files import read_json, replacing, write_text
from quant.engine import TorchEngine
from quant.int8.convert import layer_names, quantise
from quant.int8.grid import ActivationGrid
from quant.int8.layers import QuantConv
from quant.int8.run import calibrated, float_model, require_classes
from quant.int8.scheme import Scheme
from quant.model import PASSD
from quant.run_folder import RunFolder
from quant.training.distributed import join
from quant.training.train import checked_data

SCHEMA = 1
FIGURES = ("AP", "AP50", "AP75")
NONE, ALL = "none", "all"


def rank(source: Path, out: Path, data: Path, scheme: Scheme, console: Console) -> dict[str, Any]:
    """Measure every group of the float run `source` on val, write and show the ranking in `out`.

    Writes sensitivity.json after each group, and goes on from there when called again; at the end
    sensitivity.png and a table on stdout. Returns what the JSON holds: "rows", the name of each
    group with the figures of the model that computes only it on integers, most AP lost first,
    with the model in float ("none") and whole in int8 ("all").
    Raises BadInput as `quant.int8.run.calibrate_only` does.
    """
    model = float_model(source)
    train, val = checked_data(data, join())[:2]
    require_classes(model, train, source)
    whole = calibrated(model, train, scheme, console)
    names = layer_names(model)
    groups = list(dict.fromkeys(group_of(name) for name in names if not scheme.keeps_float(name)))
    report = _begun(out, source, data.name, len(val.samples), scheme)
    with Progress(console=console) as bars:
        every = [NONE, ALL, *groups]
        bar = bars.add_task("", total=len(every) * len(val.samples))
        for number, group in enumerate(every):
            done = number * len(val.samples)
            bars.update(bar, description=f"only {group} in int8", completed=done)
            if any(row["group"] == group for row in report["rows"]):
                continue
            candidate = _only(group, model, whole, names, scheme)
            detector = Detector.from_engine(TorchEngine.of(candidate))
            figures = evaluate(detector, val, partial(_advance, bars, bar, done))
            report["rows"].append({"group": group, **{k: figures[k] for k in FIGURES}})
            _write(out, report)
        bars.update(bar, description="", completed=len(every) * len(val.samples))
    report["rows"].sort(key=lambda row: row["AP"])
    _write(out, report)
    with replacing(out / "sensitivity.png") as temporary:
        draw(temporary, report)
    Console().print(table(report))
    return report


def _advance(bars: Progress, bar: TaskID, before: int, done: int) -> None:
    bars.update(bar, completed=before + done)


def group_of(layer: str) -> str:
    """ "backbone.blocks.0.depthwise" to "backbone.blocks.0": what `--keep-float` takes, too."""
    parts = layer.split(".")
    return layer if len(parts) < 3 else ".".join(parts[:-1])


def table(report: dict[str, Any]) -> Table:
    """The ranking in percent."""
    reference = _row(report, NONE)
    shown = Table(
        title=f"AP lost on {report['data']} val ({report['images']} photos), one group in int8",
        caption=f"float: AP {100 * reference['AP']:.1f}; some tenths of a point are noise",
    )
    for name in ("in int8", "AP", "AP lost", "AP50 lost", "AP75 lost"):
        shown.add_column(name, justify="left" if name == "in int8" else "right")
    for row in report["rows"]:
        lost = [f"{100 * (reference[name] - row[name]):+.2f}" for name in FIGURES]
        shown.add_row(row["group"], f"{100 * row['AP']:.2f}", *lost)
    return shown


def draw(path: Path, report: dict[str, Any]) -> None:
    """A PNG: a bar for each group, most AP lost on top."""
    from matplotlib.figure import Figure

    reference = _row(report, NONE)["AP"]
    rows = [row for row in report["rows"] if row["group"] not in (NONE, ALL)][::-1]
    lost = [100 * (reference - row["AP"]) for row in rows]
    figure = Figure(figsize=(8, 1.2 + 0.27 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh([row["group"] for row in rows], lost, color="#3b6ea5")
    axes.axvline(0, color="black", linewidth=0.8)
    whole = 100 * (reference - _row(report, ALL)["AP"])
    axes.axvline(whole, color="#c0392b", linestyle="--", label=f"all in int8: {whole:.2f}")
    axes.set(
        xlabel="AP points lost with this group alone in int8, calibrated, not trained",
        title=f"{report['data']} val, {report['images']} photos, float AP {100 * reference:.1f}",
    )
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def _only(group: str, model: PASSD, whole: PASSD, names: list[str], scheme: Scheme) -> PASSD:
    """The model with one group on integers, as it is in the whole int8 model."""
    if group == NONE:
        return model
    if group == ALL:
        return whole
    others = tuple(n for n in names if group_of(n) != group or scheme.keeps_float(n))
    part = quantise(model, dataclasses.replace(scheme, keep_float=others))
    for name, module in part.named_modules():
        # A grid for its range, a convolution for its corrected bias too.
        if isinstance(module, ActivationGrid) or (isinstance(module, QuantConv) and module.is_int8):
            module.load_state_dict(whole.get_submodule(name).state_dict())
    return part


def _begun(out: Path, source: Path, data: str, images: int, scheme: Scheme) -> dict[str, Any]:
    """The report as an interrupted call left it, or an empty one."""
    weights = hashlib.sha256(RunFolder(source).best.read_bytes()).hexdigest()
    scheme_json = json.loads(json.dumps(scheme.to_dict()))
    about = {
        "schema": SCHEMA,
        "weights_sha256": weights,
        "data": data,
        "images": images,
        "scheme": scheme_json,
    }
    path = out / "sensitivity.json"
    if not path.is_file():
        return {**about, "rows": []}
    before = read_json(path)
    if {name: before.get(name) for name in about} != about:
        raise BadInput(f"{path}: of other weights, data or options; name another --out")
    return before


def _row(report: dict[str, Any], group: str) -> dict[str, Any]:
    return next(row for row in report["rows"] if row["group"] == group)


def _write(out: Path, report: dict[str, Any]) -> None:
    write_text(out / "sensitivity.json", json.dumps(report, indent=1) + "\n")
