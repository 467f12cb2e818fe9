"""How fast a model might be on each Jetson, by the roofline model: an estimate, no measurement.

    .venv/bin/python scripts/estimate_gpu.py int8.passd fp16.passd --page docs/gpu.md

Takes bundles for any CUDA board, one for each precision of interest. Needs no GPU. What the model
assumes stands in targets/gpu/estimate.py, where the boards' figures are from in targets/cuda.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bench.page import replace_between
from edge_passd.bundle import Manifest, read_manifest
from edge_passd.errors import BadInput
from targets.cuda import BOARDS
from targets.gpu.board import Peak
from targets.gpu.estimate import LAUNCH_SECONDS, Estimate, Work, estimate, work_of

BEGIN, END = "<!-- estimate: scripts/estimate_gpu.py -->", "<!-- end of the estimate -->"
COLUMNS = (
    "board", "precision", "launches", "MB", "GFLOP", "GB/s", "TFLOP/s",
    "traffic ms", "arithmetic ms", "estimate ms",
)  # fmt: skip


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--page", type=click.Path(path_type=Path), help="Page to put it into, between its markers."
)
def main(bundles: tuple[Path, ...], page: Path | None) -> None:
    """Print the table as Markdown."""
    try:
        text = table([_model(path) for path in bundles])
        if page:
            replace_between(page, BEGIN, END, text)
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    click.echo(text)


def table(models: Sequence[tuple[str, Sequence[Work]]]) -> str:
    """One row for each board with known figures and model; a model is a precision and its work."""
    rows = [
        [board.name, *_figures(board.peak, *model)]
        for board in BOARDS.values()
        if board.peak
        for model in models
    ]
    rules = ["---", "---", *["---:"] * (len(COLUMNS) - 2)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, rules, *rows)]
    return "\n".join(
        [
            "An estimate, not a measurement: for each launch the longer of its traffic at the "
            "memory's full bandwidth and its arithmetic at full speed, and "
            f"{LAUNCH_SECONDS * 1e3:g} ms assumed for each. For int8 read TOP/s.",
            "",
            *lines,
        ]
    )


def _model(path: Path) -> tuple[str, Sequence[Work]]:
    manifest: Manifest = read_manifest(path)
    return manifest.precision, work_of(manifest.operators, str(path))


def _figures(peak: Peak, precision: str, work: Sequence[Work]) -> list[str]:
    speed, found = peak.arithmetic(precision), estimate(work, precision, peak)
    return [
        precision,
        str(len(work)),
        f"{sum(each.bytes for each in work) / 1e6:.1f}",
        f"{2 * sum(each.macs for each in work) / 1e9:.2f}",
        f"{peak.bandwidth:g}",
        f"{speed:g}" if speed else "-",
        *_times(found),
    ]


def _times(found: Estimate | None) -> list[str]:
    if found is None:
        return ["-", "-", "-"]
    return [f"{1e3 * each:.3f}" for each in (found.traffic, found.arithmetic, found.total)]


if __name__ == "__main__":
    main()
