"""`edge-passd inspect`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """
\b
Examples:
  edge-passd inspect animals.passd
  edge-passd inspect animals.onnx                             # on which processors is it right?
  edge-passd inspect animals.passd --all                      # every operator
  edge-passd inspect animals.passd --json | jq .target.features
"""


@click.command(epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--all", "every_operator", is_flag=True, help="All operators, not the largest.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest or metadata as it is.")
def inspect(model: Path, every_operator: bool, as_json: bool) -> None:
    """Show what is in MODEL: a compiled bundle, checked to be whole, an .onnx or a .tflite file.

    Nothing of it is loaded, so a bundle may be for another machine than this.
    """
    from edge_passd.model_file import METADATA, read_info

    if model.suffix.lower() in METADATA:
        info = read_info(model)
        if as_json:
            click.echo(info.to_json())
            return
        from rich.console import Console

        from edge_passd.bundle.tables import show_model

        show_model(info, model, Console())
        return
    from edge_passd.bundle import read_bundle

    manifest = read_bundle(model).manifest
    if as_json:
        click.echo(manifest.to_json())
        return
    from rich.console import Console

    from edge_passd.bundle.tables import show

    show(manifest, model, Console(), every_operator)
