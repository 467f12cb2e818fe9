"""One row of the project's report: an artefact in turn with the reference, in a process of its own.

`scripts/project_report.py` starts this, with the Python that has the engines of all artefacts.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from edge_passd.bench.artefact import Candidate, candidate
from edge_passd.bench.bench import BenchOptions, bench
from edge_passd.bench.protocol import Protocol
from edge_passd.engines.table import AUTO
from edge_passd.errors import BadInput
from edge_passd.samples import DataSet
from peers.table import PEERS, peer_candidate
from quant.data.reader import read_split

# Twenty rounds of ten photos at least; the samples of a row still fit into a repository.
PROTOCOL = Protocol("project report", iterations=200, seconds=3.0, limit_s=None)
QUICK = replace(PROTOCOL, rule="quick", iterations=10, seconds=0.0, warm_up_limit_s=0.0)
QUICK_IMAGES = 20


@click.command()
@click.argument("artefact", type=click.Path(path_type=Path))
@click.option("--engine", default=AUTO, help="Of the artefact.")
@click.option("--peer", help="Name of the peer that the artefact is; by default it is ours.")
@click.option("--against", type=click.Path(path_type=Path), required=True, help="The reference.")
@click.option("--baseline", type=click.Path(path_type=Path), help="Row of the float model.")
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--photos", type=click.Path(path_type=Path), required=True)
@click.option("--threads", type=click.IntRange(min=1), required=True)
@click.option("--quick", is_flag=True)
@click.option("--json", "row", type=click.Path(path_type=Path), required=True)
def main(
    artefact: Path,
    engine: str,
    peer: str | None,
    against: Path,
    baseline: Path | None,
    data: Path,
    photos: Path,
    threads: int,
    quick: bool,
    row: Path,
) -> None:
    """Measure ARTEFACT and write its row."""
    try:
        val = read_data(data, quick)
        options = BenchOptions(
            model=_candidate(artefact, engine, peer, val.classes),
            threads=threads,
            photo=photos,
            protocol=protocol(quick),
            against=against,
            baseline=baseline,
            json=str(row),
        )
        bench(options, val, Console(highlight=False))
    except BadInput as error:
        raise click.UsageError(str(error)) from error


def read_data(folder: Path, quick: bool) -> DataSet:
    """The photos that accuracy is measured on."""
    val = read_split(folder, "val")
    return replace(val, samples=val.samples[:QUICK_IMAGES]) if quick else val


def protocol(quick: bool) -> Protocol:
    """How long is measured."""
    return QUICK if quick else PROTOCOL


def _candidate(path: Path, engine: str, peer: str | None, classes: tuple[str, ...]) -> Candidate:
    if peer is None:
        return candidate(path, engine, soft_nms=False, allow_saturation=False)
    published = next(each for each in PEERS if each.name == peer)
    return peer_candidate(published, path.parents[1], classes)


if __name__ == "__main__":
    main()
