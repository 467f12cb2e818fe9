"""`edge-passd bench`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edge_passd.cli.options import ALLOW_SATURATION
from edge_passd.engines.table import AUTO, ENGINES

EXAMPLES = """
\b
Examples:
  edge-passd bench                                       # the model that ships with the package
  edge-passd bench animals.passd --threads 4 --json row.json
  edge-passd bench animals.onnx --engine openvino --photo holiday
  # speed and accuracy of the same file; what int8 cost, with an interval
  edge-passd bench float.onnx --data animals --json float.json
  edge-passd bench animals.passd --data animals --baseline float.json --json int8.json
  # two artefacts in turn: the ratio of their times
  edge-passd bench animals.passd --against animals.onnx --against-engine openvino
  # a minute and 1,024 photos, as MLPerf's single stream asks
  edge-passd bench animals.passd --mlperf --json row.json
  # on a board, over ssh; on two at once, rows/pi5.json and rows/orin.json
  edge-passd bench animals.passd --remote pi@192.168.1.20 --json pi.json
  edge-passd bench animals.passd --remote pi5 --remote orin --data animals --json rows
"""

_ENGINE = click.Choice([AUTO, *ENGINES])


@click.command(epilog=EXAMPLES)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "--engine", type=_ENGINE, default=AUTO, show_default=True,
    help="What computes; auto is the first installed that takes the model.",
)  # fmt: skip
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of the computation; by default the engine's choice.",
)
@click.option("--allow-saturation", is_flag=True, help=ALLOW_SATURATION)
@click.option("--soft-nms", is_flag=True, help="Lower overlapping scores instead of dropping.")
@click.option(
    "--photo",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="What to detect in: a photo, or up to ten of a folder; by default a cat.",
)
@click.option("--iterations", type=click.IntRange(min=1), metavar="N", help="At least; 100.")
@click.option(
    "--seconds", type=click.FloatRange(min=0), metavar="T",
    help="At least; 10. Where neither is given, measuring ends after 40 s all the same.",
)  # fmt: skip
@click.option(
    "--warm-up", type=click.FloatRange(min=0), default=15.0, show_default=True, metavar="T",
    help="Seconds that it takes at most.",
)  # fmt: skip
@click.option("--power", is_flag=True, help="Measure energy too; the machine idles 5 s before.")
@click.option("--mlperf", is_flag=True, help="1,024 iterations and 60 s, 90th percentile.")
@click.option("--data", type=click.Path(path_type=Path), help="Measure accuracy on a data set too.")
@click.option("--split", default="val", show_default=True)
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="ROW",
    help="A row of this command, such as the float model's: the difference in AP.",
)  # fmt: skip
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="OTHER",
    help="Another artefact, measured in turn: the ratio of times, with --data the APs too.",
)  # fmt: skip
@click.option("--against-engine", type=_ENGINE, default=AUTO, show_default=True)
@click.option("--json", metavar="FILE|-", help="Write the row; - is stdout.")
@click.option(
    "--remote", multiple=True, metavar="[USER@]HOST",
    help="Measure on a board instead, over ssh. More than one: at once, and --json is a folder.",
)  # fmt: skip
@click.option("--progress-lines", is_flag=True, hidden=True)
@click.pass_context
def bench(
    context: click.Context,
    model: Path | None,
    iterations: int | None,
    seconds: float | None,
    warm_up: float,
    mlperf: bool,
    data: Path | None,
    split: str,
    remote: tuple[str, ...],
    progress_lines: bool,
    **options: Any,
) -> None:
    """Measure how fast a model is on this machine, and with --data how good.

    MODEL is an .onnx or .tflite file, a .passd bundle or a run folder; without one, the model that
    ships with the package.

    First come windows of at least 10 detections and half a second, until the medians of two in a
    row differ by no more than 2%, or --warm-up is over. Then every detection is timed, in three
    stages: from an image in memory to the model's input, inference, and from there to boxes.
    """
    if mlperf and (iterations is not None or seconds is not None):
        raise click.UsageError("--mlperf sets iterations and seconds; leave those out")
    if options["against"] is None and options["against_engine"] != AUTO:
        raise click.UsageError("--against-engine is for --against OTHER")
    if options["baseline"] is not None and data is None:
        raise click.UsageError("--baseline compares accuracy; give --data DIR too")
    if options["against"] is not None and options["power"]:
        raise click.UsageError("--power measures one artefact; leave out --against OTHER")
    from rich.console import Console

    from edge_passd.bench.bench import BenchOptions
    from edge_passd.bench.bench import bench as start
    from edge_passd.bench.progress import progress
    from edge_passd.bench.progress import progress_lines as lines
    from edge_passd.bench.protocol import DEFAULT, MLPERF
    from edge_passd.sinks.json_lines import STDOUT

    protocol = replace(MLPERF if mlperf else DEFAULT, warm_up_limit_s=warm_up)
    if iterations is not None or seconds is not None:
        protocol = replace(
            protocol,
            rule="as asked",
            iterations=protocol.iterations if iterations is None else iterations,
            seconds=protocol.seconds if seconds is None else seconds,
            limit_s=None,
        )
    found = None
    if data is not None:
        from quant.data.reader import read_split

        found = read_split(data, split)
    console = Console(stderr=options["json"] == STDOUT, highlight=False)
    if remote:
        from edge_passd.remote.arguments import passed_on
        from edge_passd.remote.bench import RemoteOptions, bench_remote

        names = ("engine", "photo", "baseline", "against", "against_engine", "json")
        paths = {name: options[name] for name in names}
        bench_remote(
            RemoteOptions(remote, passed_on(context), model, data=data, split=split, **paths),
            found,
            console,
        )
    else:
        steps = lines if progress_lines else progress
        start(BenchOptions(model=model, protocol=protocol, **options), found, console, steps)
