"""How fast the compiled model is beside the runtimes on this x86 machine, side by side.

    .venv/bin/python scripts/bench_host.py --float FLOAT.onnx --page docs/speed.md

Measures whole models (the shipped one, C = 6, and larger ones with random weights), the offset
convolution alone, and the cold start of `edge-passd run`. Each model has a process of its own for
each number of threads; in it the engines take turns (see `bench.rounds`). Models are kept in
--models, where a .tflite that is called like its .onnx joins as a further engine. Keep the machine
quiet meanwhile.

    .venv/bin/python scripts/bench_host.py --isa avx2 --float FLOAT.onnx --page docs/speed.md

measures whole models alone, with code for an older processor (see `bench.limits`), and writes
between markers of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import numpy as np
from rich.console import Console
from rich.progress import track

from bench.cold_start import cold_starts
from bench.full_model import Candidate, latencies
from bench.limits import LIMITS, ONEDNN_VARIABLE
from bench.offset_case import offset_case
from bench.page import processor, replace_between
from bench.rounds import quartiles, ratios
from bench.tables import OURS, tables
from edge_passd.engines.table import load_engine
from edge_passd.errors import BadInput
from edge_passd.files import write_text

# What loads PyTorch or TVM is imported where it is used: every process that measures imports this
# file, and shall load neither without need.

PRECISIONS = ("int8", "fp32")
PACKAGES = {  # of each engine
    "tvm": "apache-tvm",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tflite": "ai-edge-litert",
}
QUIET = 0.5  # load average
BEGIN, END = "<!-- scripts/bench_host.py writes from here -->", "<!-- to here -->"


def begin(isa: str | None) -> str:
    """The marker of a page behind which the tables go."""
    return BEGIN.replace(".py", f".py --isa {isa}") if isa else BEGIN


P = ParamSpec("P")
R = TypeVar("R")


@click.command()
@click.option(
    "--float", "float_model", type=click.Path(exists=True, path_type=Path),
    help="The shipped model in float, .onnx or run folder; without it, random weights.",
)  # fmt: skip
@click.option("--models", type=click.Path(path_type=Path), default=Path("runs/speed"))
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    multiple=True,
    default=(6, 21, 81),
    show_default=True,
    help="C, the background included.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), multiple=True, default=(1, 2), show_default=True
)
@click.option("--size", default=320, show_default=True, help="Of the input, pixels.")
@click.option("--rounds", default=30, show_default=True)
@click.option("--burst", default=5, show_default=True, help="Timed runs of each in a round.")
@click.option("--isa", type=click.Choice([*LIMITS]), help="Code for an older processor only.")
@click.option("--starts", default=5, show_default=True, help="Of `edge-passd run`.")
@click.option("--quick", is_flag=True, help="Everything once, to see that it works.")
@click.option("--reuse-bundles", is_flag=True, help="Compile only what is not in --models.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures.")
@click.option(
    "--page", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write the tables between the markers of this page.",
)  # fmt: skip
def main(
    float_model: Path | None,
    models: Path,
    classes: tuple[int, ...],
    threads: tuple[int, ...],
    size: int,
    rounds: int,
    burst: int,
    isa: str | None,
    starts: int,
    quick: bool,
    reuse_bundles: bool,
    json_file: Path | None,
    page: Path | None,
) -> None:
    """Measure, print the tables, write what was asked for."""
    from bench.candidates import OTHER_FORM, candidates_for

    if quick:
        rounds = burst = starts = 1
    limit = LIMITS[isa] if isa else None
    if limit:
        os.environ[ONEDNN_VARIABLE] = limit.onednn  # for the processes that measure
    console = Console(stderr=True)
    load = os.getloadavg()[0]
    if load > QUIET:
        console.print(f"the machine is busy (load {load:.1f}): the figures will be noisy")
    with _usage_errors():
        if float_model:
            load_engine(float_model)  # refuses what is no model, before minutes of measuring
        candidates = {
            case: candidates_for(*case, size, models, float_model, reuse_bundles, limit)
            for case in track([*product(classes, PRECISIONS)], "models", console=console)
        }
        used = {each.engine for by_name in candidates.values() for each in by_name.values()}
        result = {
            "isa": isa,
            "date": date.today().isoformat(),
            "processor": processor(),
            "versions": {name: version(name) for key, name in PACKAGES.items() if key in used},
            "load_average": load,
            "size": size,
            "rounds": rounds,
            "burst": burst,
            "starts": starts,
            "latency": [
                _latency(*case, number, candidates[case], rounds, burst)
                for case, number in track(
                    [*product(candidates, threads)], "latency", console=console
                )
            ],
        }
        if not limit:
            first = {
                name: each
                for name, each in candidates[classes[0], PRECISIONS[0]].items()
                if name != OTHER_FORM
            }
            result["offset_convolution"] = [
                _offset_convolution(*case, size, models, rounds, burst)
                for case in track(
                    [*product(classes, threads)], "offset convolution", console=console
                )
            ]
            result["cold_start"] = {
                name: quartiles(seconds) for name, seconds in cold_starts(first, starts).items()
            }
        click.echo(tables(result))
        if json_file:
            write_text(json_file, json.dumps(result, indent=1) + "\n")
        if page:
            replace_between(page, begin(isa), END, tables(result))


def _latency(
    classes: int,
    precision: str,
    threads: int,
    candidates: dict[str, Candidate],
    rounds: int,
    burst: int,
) -> dict[str, Any]:
    seconds = _in_own_process(latencies, candidates, classes, precision, threads, rounds, burst)
    return {
        "classes": classes,
        "precision": precision,
        "threads": threads,
        "milliseconds": {name: quartiles(1e3 * each) for name, each in seconds.items()},
        "ratio": _ratios(seconds),
    }


def _offset_convolution(
    classes: int, threads: int, size: int, folder: Path, rounds: int, burst: int
) -> dict[str, Any]:
    from bench.offset_files import KINDS, offset_file
    from bench.offset_forms import milliseconds

    case = offset_case(classes, size)
    files = {kind: offset_file(case, kind, folder) for kind in KINDS}
    found = _in_own_process(milliseconds, case, files, threads, rounds, burst)
    return {
        "classes": classes,
        "threads": threads,
        "milliseconds": {name: quartiles(each) for name, each in found.items()},
        "ratio": _ratios(found),
    }


def _ratios(times: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Of ours to each of the others; nothing where ours was not measured."""
    if OURS not in times:
        return {}
    others = [name for name in times if name != OURS]
    return {name: quartiles(ratios(times[OURS], times[name])) for name in others}


def _in_own_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Bad input ends with one line and exit status 2, as in edge-passd itself."""
    try:
        yield
    except BadInput as error:
        raise click.UsageError(str(error)) from error


if __name__ == "__main__":
    main()
