"""What int8 costs and what it gives: fp32, two kinds of PTQ and QAT on the same photos and engines.

    .venv/bin/python scripts/int8_table.py RUN INT8_RUN --data DATA

RUN is the float run, INT8_RUN what `edge-passd qat` made of it. Calibrates the two PTQ models,
exports all four for every engine, measures each file's accuracy on val and the latencies of all of
them in turn, in one process, and writes docs/int8.json and the table in docs/int8.md. What is
there already in --out is used again. Keep the machine quiet meanwhile.
"""

from __future__ import annotations

import json
import time
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
from edge_passd.evaluation import evaluate
from edge_passd.files import write_text
from edge_passd.photo import read_photo
from edge_passd.samples import DataSet
from quant.data.reader import read_split
from quant.export.export import ExportOptions, export
from quant.int8.run import calibrate_only
from quant.int8.scheme import Scheme

PTQ = {
    "PTQ, min-max": Scheme(calibration="minmax", bias_correction=False),
    "PTQ, bias corrected": Scheme(),
}
FILES = {"onnxruntime": ".onnx", "openvino": ".onnx", "tflite": ".tflite"}
THREADS = (1, 2)
FIGURES = ("AP", "AP50", "AP75")
BEGIN, END = "<!-- scripts/int8_table.py writes from here -->", "<!-- to here -->"


@click.command()
@click.argument("float_run", type=click.Path(path_type=Path))
@click.argument("int8_run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/int8_table"))
@click.option("--rounds", default=40, show_default=True, help="Three timings of each in a round.")
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/int8.md"))
def main(float_run: Path, int8_run: Path, data: Path, out: Path, rounds: int, page: Path) -> None:
    """Measure and write the table."""
    console = Console()
    runs = {"fp32": float_run}
    for name, scheme in PTQ.items():
        runs[name] = out / name.replace(", ", "-").replace(" ", "-")
        if not (runs[name] / "model.json").is_file():
            calibrate_only(float_run, runs[name], data.absolute(), scheme, console)
    runs["QAT"] = int8_run
    files = {(name, suffix): out / f"{run.name}{suffix}" for name, run in runs.items()
             for suffix in dict.fromkeys(FILES.values())}  # fmt: skip
    for (name, _), path in files.items():
        if not path.is_file():
            export(ExportOptions(runs[name], path, data), console)
    val = read_split(data, "val")
    accuracy = {
        name: {engine: _accuracy(files[name, suffix], engine, val) for engine, suffix in
               FILES.items()}
        for name in track(runs, "accuracy", console=console)
    }  # fmt: skip
    latency = _latencies(files, val, rounds, console)
    result = {
        "date": date.today().isoformat(),
        "processor": processor(),
        "data": val.name,
        "images": len(val.samples),
        "timings": 3 * rounds,
        "models": [
            {
                "name": name,
                "bytes": {s: files[name, s].stat().st_size for s in dict.fromkeys(FILES.values())},
                "accuracy": accuracy[name],
                "latency_ms": latency[name],
            }
            for name in runs
        ],
    }
    write_text(page.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    replace_between(page, BEGIN, END, tables(result))
    click.echo(tables(result))


def tables(result: dict[str, Any]) -> str:
    """Both tables of the page, and the sentence that says how they were made."""
    models = result["models"]
    reference = models[0]
    lines = [
        f"Accuracy on {result['data']}, {result['images']} photos, in percent. Each figure is from "
        "the file that is shipped or would be, through the detector that `edge-passd run` uses.",
        "",
        "| | AP | AP50 | AP75 | AP, OpenVINO | AP, TFLite | .onnx MB | .tflite MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model in models:
        by_engine = model["accuracy"]
        cells = [f"{100 * by_engine['onnxruntime'][name]:.1f}" for name in FIGURES]
        cells += [f"{100 * by_engine[name]['AP']:.1f}" for name in ("openvino", "tflite")]
        cells += [f"{model['bytes'][suffix] / 1e6:.1f}" for suffix in (".onnx", ".tflite")]
        lines.append(f"| {model['name']} | " + " | ".join(cells) + " |")
    columns = [(engine, threads) for engine in FILES for threads in THREADS]
    lines += [
        "",
        "AP, AP50 and AP75 are of onnxruntime.",
        "",
        f"Latency of inference alone in milliseconds, median (10th to 90th percentile) of "
        f"{result['timings']} on {result['processor']}, {result['date']}; all models and engines "
        "in turn in one process, on the same photo. In brackets behind it: times faster than fp32 "
        "on the same engine and threads.",
        "",
        "| | " + " | ".join(f"{e}, {t} thread{'s'[: t > 1]}" for e, t in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for model in models:
        cells = []
        for engine, threads in columns:
            key = f"{engine}/{threads}"
            low, middle, high = model["latency_ms"][key]
            cell = f"{middle:.1f} ({low:.1f}-{high:.1f})"
            if model is not reference:
                cell += f" [{reference['latency_ms'][key][1] / middle:.2f}x]"
            cells.append(cell)
        lines.append(f"| {model['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _accuracy(path: Path, engine: str, val: DataSet) -> dict[str, float]:
    figures = evaluate(Detector(path, engine), val)
    return {name: figures[name] for name in FIGURES}


def _latencies(
    files: dict[tuple[str, str], Path], val: DataSet, rounds: int, console: Console
) -> dict[str, dict[str, list[float]]]:
    """Percentiles 10, 50, 90 in ms for each model and "engine/threads"."""
    engines: dict[tuple[str, str], Engine] = {}
    for (name, suffix), path in files.items():
        for engine in (e for e, s in FILES.items() if s == suffix):
            for threads in THREADS:
                engines[name, f"{engine}/{threads}"] = load_engine(path, engine, threads)
    detector = Detector(next(iter(files.values())))
    image, _ = detector.preprocess(read_photo(val.samples[0].path))
    samples: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    for _ in track(range(rounds), "latency", console=console):
        for key, engine in engines.items():
            engine.run(image)  # the threads of the one before may still be spinning
            for _ in range(3):
                started = time.perf_counter()
                engine.run(image)
                samples[key].append(time.perf_counter() - started)
    result: dict[str, dict[str, list[float]]] = {name: {} for name, _ in files}
    for (name, key), seconds in samples.items():
        result[name][key] = [float(v) for v in np.percentile(seconds, [10, 50, 90]) * 1e3]
    return result


if __name__ == "__main__":
    main()
