"""What int8 costs and what it gives: fp32, PTQ and QAT with weights of 8 and of 7 bits.

    .venv/bin/python scripts/int8_table.py RUN INT8_RUN --full-range FILE.onnx --data DATA

RUN is the float run, INT8_RUN what `edge-passd qat` made of it, FILE.onnx the export of a QAT with
weights of 8 bits. Calibrates the two PTQ models, exports all for every engine, compiles the int8
ones for x86-64-v3, measures each file's accuracy on val, as the processor is and as one without
VNNI would compute, and the latencies of fp32 and INT8_RUN in turn, in one process. Writes
docs/int8.json and the table in docs/int8.md. What is there already in --out is used again. Keep
the machine quiet meanwhile.

How a processor without VNNI is had on one with: oneDNN, which computes for OpenVINO, takes an
environment variable that keeps it to AVX2. onnxruntime takes none; with --emulate it runs in QEMU
as a Haswell, the QAT only, which takes half an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import track

from bench.page import processor, replace_between
from edge_passd.detector import Detector
from edge_passd.engines.base import Engine
from edge_passd.engines.table import load_engine
from edge_passd.files import read_json, write_text
from edge_passd.photo import read_photo
from edge_passd.samples import DataSet
from quant.data.reader import read_split
from quant.export.export import ExportOptions, export
from quant.int8.run import calibrate_only
from quant.int8.scheme import Scheme
from targets.compile import CompileOptions, compile_model

PTQ = {f"PTQ, {bits} bits": Scheme(weight_bits=bits) for bits in (8, 7)}
FULL_RANGE, QAT = "QAT, 8 bits", "QAT, 7 bits"
SUFFIXES = {"onnxruntime": ".onnx", "openvino": ".onnx", "tflite": ".tflite", "tvm": ".passd"}
NAMES = {
    "onnxruntime": "onnxruntime",
    "openvino": "OpenVINO",
    "tflite": "LiteRT",
    "tvm": "compiled",
}
BOARD = "x86-64-v3"
AVX2, HASWELL = "kept to AVX2", "an emulated Haswell"
THREADS = (1, 2)
FIGURES = ("AP", "AP50", "AP75")
BEGIN, END = "<!-- scripts/int8_table.py writes from here -->", "<!-- to here -->"


@click.command()
@click.argument("float_run", type=click.Path(path_type=Path))
@click.argument("int8_run", type=click.Path(path_type=Path))
@click.option("--full-range", type=click.Path(path_type=Path), required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/int8_table"))
@click.option("--emulate", is_flag=True, help="onnxruntime as on a Haswell, in QEMU; slow.")
@click.option("--rounds", default=40, show_default=True, help="Three timings of each in a round.")
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/int8.md"))
def main(
    float_run: Path, int8_run: Path, full_range: Path, data: Path, out: Path, emulate: bool,
    rounds: int, page: Path,
) -> None:  # fmt: skip
    """Measure and write the table."""
    console = Console()
    files = model_files(float_run, int8_run, full_range, data, out, console)
    val = read_split(data, "val")
    accuracy: dict[str, dict[str, Any]] = {name: {} for name in files}
    jobs = [(name, engine, "") for name, each in files.items() for engine in each]
    jobs += [(name, "openvino", AVX2) for name in files]
    jobs += [(QAT, "onnxruntime", HASWELL)] * emulate
    for name, engine, where in track(jobs, "accuracy", console=console):
        column = f"{engine}, {where}" if where else engine
        accuracy[name][column] = _accuracy(files[name][engine], engine, where, data, out)
    latency = _latencies({name: files[name] for name in ("fp32", QAT)}, val, rounds, console)
    result = {
        "date": date.today().isoformat(),
        "processor": processor(),
        "data": val.name,
        "images": len(val.samples),
        "timings": 3 * rounds,
        "models": [
            {
                "name": name,
                "bytes": {each.suffix: each.stat().st_size for each in files[name].values()},
                "accuracy": accuracy[name],
                "latency_ms": latency.get(name, {}),
            }
            for name in files
        ],
    }
    write_text(page.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    replace_between(page, BEGIN, END, tables(result))
    click.echo(tables(result))


def model_files(
    float_run: Path, int8_run: Path, full_range: Path, data: Path, out: Path, console: Console
) -> dict[str, dict[str, Path]]:
    """For each model the file of each engine, made where it is missing."""
    runs = {"fp32": float_run}
    for name, scheme in PTQ.items():
        runs[name] = out / name.replace(", ", "-").replace(" ", "-")
        if not (runs[name] / "model.json").is_file():
            calibrate_only(float_run, runs[name], data.absolute(), scheme, console)
    runs[QAT] = int8_run
    files = {}
    for name, run in runs.items():
        stem = out / run.name
        # Converting takes minutes, and what calibration alone gives, the others tell.
        engines = {k: v for k, v in SUFFIXES.items() if name not in PTQ or v != ".tflite"}
        files[name] = {engine: stem.with_suffix(suffix) for engine, suffix in engines.items()}
        for path in dict.fromkeys(files[name].values()):
            if path.suffix != ".passd" and not path.is_file():
                export(ExportOptions(run, path, data), console)
    files[FULL_RANGE] = {"onnxruntime": full_range, "openvino": full_range}
    files[FULL_RANGE]["tvm"] = out / f"{full_range.stem}.passd"
    for each in files.values():
        if not each["tvm"].is_file():
            compile_model(CompileOptions(each["onnxruntime"], each["tvm"], "x86", BOARD), console)
    return {name: files[name] for name in ("fp32", *PTQ, FULL_RANGE, QAT)}


def tables(result: Mapping[str, Any]) -> str:
    """Both tables of the page, and the sentences that say how they were made."""
    models = result["models"]
    columns = list(dict.fromkeys(column for model in models for column in model["accuracy"]))
    lines = [
        f"Accuracy on {result['data']}, {result['images']} photos, AP / AP50 in percent, on "
        f"{result['processor']}, {result['date']}. Each figure is from the file that is shipped or "
        "would be, through the detector that `edge-passd run` uses; compiled is the bundle for "
        f"`{BOARD}`.",
        "",
        "| weights | " + " | ".join(map(_titled, columns)) + " | .onnx MB |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for model in models:
        cells = [_cell(model["accuracy"].get(column)) for column in columns]
        lines.append(
            f"| {model['name']} | {' | '.join(cells)} | {model['bytes']['.onnx'] / 1e6:.1f} |"
        )
    timed = [model for model in models if model["latency_ms"]]
    keys = list(timed[0]["latency_ms"])
    lines += [
        "",
        "Latency of inference alone in milliseconds, median (10th to 90th percentile) of "
        f"{result['timings']}, all models and engines in turn in one process, on the same photo. "
        "In brackets behind it: times faster than fp32 on the same engine and threads.",
        "",
        "| engine, threads | " + " | ".join(model["name"] for model in timed) + " |",
        "|---|" + "---:|" * len(timed),
    ]
    for key in keys:
        engine, threads = key.split("/")
        cells = []
        for model in timed:
            low, middle, high = model["latency_ms"][key]
            cell = f"{middle:.1f} ({low:.1f}-{high:.1f})"
            if model is not timed[0]:
                cell += f" [{timed[0]['latency_ms'][key][1] / middle:.2f}x]"
            cells.append(cell)
        lines.append(f"| {NAMES[engine]}, {threads} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _titled(column: str) -> str:
    engine, _, where = column.partition(", ")
    return f"{NAMES[engine]}, {where}" if where else NAMES[engine]


def _cell(figures: Mapping[str, float] | None) -> str:
    return "" if figures is None else f"{100 * figures['AP']:.1f} / {100 * figures['AP50']:.1f}"


def _accuracy(path: Path, engine: str, where: str, data: Path, out: Path) -> dict[str, float]:
    """As `edge-passd eval` prints it, in a process of its own."""
    figures = out / f"{path.stem}-{engine}-{where.replace(' ', '-') or 'here'}.json"
    if not figures.is_file():
        command = [sys.executable, "-m", "edge_passd.cli.main", "eval", str(path)]
        command += ["--data", str(data), "--engine", engine, "--allow-saturation"]
        command += ["--json", str(figures)]
        environment = dict(os.environ)
        if where == AVX2:
            environment["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        if where == HASWELL:
            # QEMU runs the interpreter itself, not the link to it in the virtual environment.
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
            command[0] = os.path.realpath(sys.executable)
            command = ["qemu-x86_64", "-cpu", "Haswell", *command]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    found = read_json(figures)
    return {name: found[name] for name in FIGURES}


def _latencies(
    files: Mapping[str, Mapping[str, Path]], val: DataSet, rounds: int, console: Console
) -> dict[str, dict[str, list[float]]]:
    """Percentiles 10, 50, 90 in ms for each model and "engine/threads"."""
    engines: dict[tuple[str, str], Engine] = {}
    for name, each in files.items():
        for engine, path in each.items():
            for threads in THREADS:
                engines[name, f"{engine}/{threads}"] = load_engine(path, engine, threads)
    detector = Detector(files[QAT]["onnxruntime"])
    image, _ = detector.preprocess(read_photo(val.samples[0].path))
    samples: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    for _ in track(range(rounds), "latency", console=console):
        for key, engine in engines.items():
            engine.run(image)  # the threads of the one before may still be spinning
            for _ in range(3):
                started = time.perf_counter()
                engine.run(image)
                samples[key].append(time.perf_counter() - started)
    result: dict[str, dict[str, list[float]]] = {name: {} for name in files}
    for (name, key), seconds in samples.items():
        result[name][key] = [float(v) for v in np.percentile(seconds, [10, 50, 90]) * 1e3]
    return result


if __name__ == "__main__":
    main()
