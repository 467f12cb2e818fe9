"""The project's own report: the shipped model on every engine, beside other small detectors.

\b
    scripts/setup && scripts/setup_peers
    .venv/bin/python scripts/project_report.py --data animals5 --peers PEERS \\
        --float FLOAT.onnx --tflite FLOAT.tflite --tflite INT8.tflite

Makes what is missing, then measures each artefact in a process of its own, in turn with one
reference, the compiled int8 bundle, so that every row has a ratio of times with its interval; the
reference against itself shows what of such a ratio is noise. Accuracy is from the same file, on the
whole validation split. What cannot be measured becomes a row that says why. Rows that are there
already, of the same file and settings, are kept, unless their latency drifted. Keep the machine
quiet meanwhile.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from edge_passd.bench.accuracy import data_sha256
from edge_passd.bench.row import FAILED, OK, failed_row, read_row, write_row
from edge_passd.detector import default_model
from edge_passd.errors import BadInput
from edge_passd.report.doubts import DRIFTED
from peers.artefacts import Artefact, Sources, make_ours, peers
from project_row import protocol, read_data
from quant.data.reader import spread_photos

HERE = Path(__file__).parent
PEERS_PYTHON = HERE.parent / ".peers" / "bin" / "python"
PHOTOS = 10
LIMIT_S = 1200.0  # for one artefact: a hung engine costs one row, not the report
QUIET = 0.5  # load average


@dataclass(frozen=True)
class Settings:
    """What is the same for all rows."""

    reference: Artefact
    data: Path
    data_sha256: str
    photos: Path
    threads: int
    quick: bool
    python: Path


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@click.option(
    "--peers", "peer_folder", type=click.Path(path_type=Path), required=True,
    help="Folder with a folder for each peer, see scripts/peers/table.py.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/report"))
@click.option(
    "--models", type=click.Path(path_type=Path), default=Path("runs/report"),
    help="What is made on the way.",
)  # fmt: skip
@click.option("--int8", type=click.Path(path_type=Path), help=".onnx; by default the shipped one.")
@click.option("--float", "fp32", type=click.Path(path_type=Path), help=".onnx or run folder.")
@click.option(
    "--tflite", type=click.Path(path_type=Path), multiple=True, help="Of either precision."
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="Few photos and iterations, to see that it works.")
@click.option("--only", multiple=True, metavar="NAME", help="Of a row, without .json.")
@click.option(
    "--python", type=click.Path(path_type=Path),
    help="Measures; by default that of .peers, or else this one.",
)  # fmt: skip
def main(
    data: Path,
    peer_folder: Path,
    out: Path,
    models: Path,
    int8: Path | None,
    fp32: Path | None,
    tflite: tuple[Path, ...],
    threads: int,
    quick: bool,
    only: tuple[str, ...],
    python: Path | None,
) -> None:
    """Measure, write rows and page."""
    console = Console(highlight=False)
    if os.getloadavg()[0] > QUIET and not quick:
        console.print("the machine is busy: the figures will be noisy")
    try:
        if not peer_folder.is_dir():
            raise BadInput(f"--peers {peer_folder}: no such folder; give the one of the weights")
        val = read_data(data, quick)
        photos = copy_photos(spread_photos(val, PHOTOS), models / val.name)
        int8 = int8 or default_model()
        ours, bundle = make_ours(
            Sources(int8.stem, int8, fp32, tflite, models), data, photos, console
        )
        artefacts = chosen([*ours, *peers(peer_folder)], only)
        reference = next(each for each in ours if each.path == bundle)
        settings = Settings(
            reference, data, data_sha256(val), photos, threads, quick, interpreter(python)
        )
        # In no order that a machine which heats up or slows down could favour, but for those whose
        # accuracy is compared with a row that has to be there.
        order = random.Random(0).sample(artefacts, len(artefacts))
        for artefact in sorted(order, key=lambda each: each.baseline is not None):
            row = measure(artefact, settings, out / "rows" / f"{artefact.name}.json")
            console.print(f"{artefact.name}: {said(row)}", soft_wrap=True)
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    report = [sys.executable, "-m", "edge_passd", "report", str(out / "rows")]
    report += ["--title", "MobileNet-PASSD beside other small detectors"]
    for name in ("report.html", "report.md", "ap-over-latency.png"):
        report += ["-o", str(out / name)]
    raise SystemExit(subprocess.run(report).returncode)


def chosen(artefacts: Sequence[Artefact], only: Sequence[str]) -> list[Artefact]:
    """Those that are named, or all; BadInput for a name that is not there."""
    names = [each.name for each in artefacts]
    if unknown := [name for name in only if name not in names]:
        raise BadInput(f"--only {unknown[0]}: no such row; there are {', '.join(names)}")
    return [each for each in artefacts if not only or each.name in only]


def interpreter(given: Path | None) -> Path:
    """The Python that measures; BadInput if the one given is none."""
    if given is not None and shutil.which(given) is None:
        raise BadInput(
            f"--python {given}: no such program; run scripts/setup_peers or leave it out"
        )
    return given or (PEERS_PYTHON if PEERS_PYTHON.exists() else Path(sys.executable))


def copy_photos(photos: Sequence[Path], folder: Path) -> Path:
    """A folder with these photos alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in photos:
        shutil.copyfile(path, folder / path.name)
    return folder


def measure(artefact: Artefact, settings: Settings, path: Path) -> dict[str, Any]:
    """The artefact's row, written to `path` unless it is there already."""
    if kept := known_row(artefact, settings, path):
        return kept
    reason = run(artefact, settings, path)
    if reason is not None:
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        named = Path(artefact.peer) if artefact.peer else artefact.path
        write_row(path, failed_row(named, artefact.engine, FAILED, reason, created))
    return read_row(path)


def known_row(artefact: Artefact, settings: Settings, path: Path) -> dict[str, Any] | None:
    """The row at `path` if it is of this file, measured with these settings."""
    if not path.is_file():
        return None
    try:
        row = read_row(path)
    except BadInput:
        return None
    if row["status"] != OK or row["accuracy"] is None or row["against"] is None:
        return None
    if abs(row["drift"]) > DRIFTED and not settings.quick:
        return None
    found = [row[key] for key in ("model_sha256", "engine", "threads", "protocol")]
    found += [row["accuracy"]["data_sha256"], row["against"].get("model_sha256")]
    wanted = [artefact.sha256, artefact.engine, settings.threads, asdict(protocol(settings.quick))]
    wanted += [settings.data_sha256, settings.reference.sha256]
    if baseline := baseline_row(artefact, path):
        found.append((row["baseline"] or {}).get("model_sha256"))
        wanted.append(read_row(baseline)["model_sha256"])
    return row if found == wanted else None


def baseline_row(artefact: Artefact, path: Path) -> Path | None:
    """Where the row lies that this artefact, whose own is `path`, is compared with."""
    if artefact.baseline is None:
        return None
    baseline = path.with_name(f"{artefact.baseline}.json")
    if not baseline.is_file():
        return None
    row = read_row(baseline)
    return baseline if row["status"] == OK and row["accuracy"] else None


def run(artefact: Artefact, settings: Settings, path: Path) -> str | None:
    """Measure in a process of its own; None, or why there is no row."""
    command = [settings.python, HERE / "project_row.py", artefact.path, "--engine", artefact.engine]
    command += ["--peer", artefact.peer] if artefact.peer else []
    command += ["--against", settings.reference.path, "--data", settings.data]
    command += ["--photos", settings.photos, "--threads", settings.threads]
    command += ["--quick"] if settings.quick else []
    if baseline := baseline_row(artefact, path):
        command += ["--baseline", baseline]
    command += ["--json", path]
    try:
        done = subprocess.run(
            [str(each) for each in command], capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return f"not done after {LIMIT_S:g} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    reason = lines[-1].removeprefix("Error: ") if lines else f"ended with {done.returncode}"
    # A row is published; where the files lay on this machine is of no use to a reader.
    return reason.replace(f"{artefact.path.parent}{os.sep}", "")


def said(row: dict[str, Any]) -> str:
    """A row in a line."""
    if row["status"] != OK:
        return f"{row['status']}: {row['reason']}"
    return (
        f"p50 {row['latency_ms']['p50']:.1f} ms, {{value:.2f}} ({{low:.2f}} to {{high:.2f}}) of "
        "the reference, AP50 {AP50:.1%}"
    ).format(**row["against"]["ratio"], **row["accuracy"])


if __name__ == "__main__":
    main()
