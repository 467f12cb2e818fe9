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
  edge-passd compile animals.onnx --target cuda -o animals.passd        # any Jetson from Xavier on
  edge-passd compile animals.onnx --target cuda --board jetson-orin-nano -o animals.passd
  edge-passd compile float.onnx --target cuda --board desktop --precision fp16 -o animals.passd
  # check it on photos of yours, and look at what the compiler did
  edge-passd compile animals.onnx --target x86 -o animals.passd --photos holiday --dump dump
\b
Then, on the board:
  edge-passd run animals.passd --camera 0
"""


@click.command("compile", epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", type=click.Choice(["arm", "x86", "cuda"]), required=True)
@click.option(
    "--board",
    metavar="NAME",
    help="A preset, or native; a wrong name lists them. By default this machine if it is of the "
    "target, else what any board of the target runs; for cuda what any Jetson from Xavier on runs.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp16", "fp32"]),
    help="What the model must be; for cuda a float model becomes fp16, or fp32 if you say so.",
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
    help="Carry TVM's runtime (6 MB), so that the board installs none; for cuda it needs none.",
)
@click.option(
    "--dump",
    type=click.Path(path_type=Path),
    help="Folder for TIR, assembly or CUDA, and plan.",
)
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

    The bundle is all that the board needs beside edge-passd itself; for a GPU, its driver too. No
    GPU is needed to compile.

    Before the bundle is written it must compute what the model's graph means in exact arithmetic:
    boxes within 0.05 px, scores within 1e-4 in fp32 and 1e-3 in int8, and 99.5% of the detections
    the same (in fp16 4 px, 0.05 and 95%). What cannot run on this machine is checked on it all the
    same: kernels for another processor as compiled for this one, those for a GPU in an emulator.
    """
    from rich.console import Console

    from targets.compile import CompileOptions, compile_model

    options = CompileOptions(model, output, target, board, precision, photos, runtime, dump)
    compile_model(options, Console())
    click.echo(f"next: edge-passd run {output} --source photo.jpg --save out.jpg")
