"""`edge-passd compile`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """
\b
Examples:
  edge-passd compile animals.onnx --target arm --board raspberry-pi-5 -o animals.passd
  edge-passd compile animals.onnx --target arm -o animals.passd        # any 64-bit ARM board
  edge-passd compile animals.onnx --target x86 -o animals.passd        # this PC, or any PC
  edge-passd compile animals.onnx --target x86 --board x86-64-v4-vnni -o animals.passd
  # check it on photos of yours, and look at what the compiler did
  edge-passd compile animals.onnx --target x86 -o animals.passd --photos holiday --dump dump
\b
Then, on the board:
  edge-passd run animals.passd --camera 0
"""


@click.command("compile", epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(["arm", "x86"]), required=True)
@click.option(
    "--board",
    metavar="NAME",
    help="A preset, or native; a wrong name lists them. By default this machine if it is of the "
    "target, else what any board of the target runs.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp16", "fp32"]),
    help="What the model must be; it is never changed.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A photo or a folder of them to check with; by default made-up pictures.",
)
@click.option(
    "--runtime/--no-runtime",
    default=True,
    show_default=True,
    help="Carry TVM's runtime (6 MB), so that the board installs none.",
)
@click.option("--dump", type=click.Path(path_type=Path), help="Folder for TIR, assembly and plan.")
def compile_command(
    model: Path,
    target: str,
    board: str | None,
    precision: str | None,
    output: Path,
    photos: Path | None,
    runtime: bool,
    dump: Path | None,
) -> None:
    """Compile an exported .onnx model to a .passd bundle, with kernels scheduled for its board.

    The bundle is all that the board needs beside edge-passd itself. Before it is written it must
    compute what the model's graph means in exact arithmetic: boxes within 0.05 px, scores within
    1e-4 in float and 1e-3 in int8, and 99.5% of the detections the same.
    """
    from rich.console import Console

    from targets.compile import CompileOptions, compile_model

    options = CompileOptions(model, output, target, board, precision, photos, runtime, dump)
    compile_model(options, Console())
    click.echo(f"next: edge-passd run {output} --source photo.jpg --save out.jpg")
