"""`edge-passd inspect`."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """
\b
Examples:
  edge-passd inspect animals.passd
  edge-passd inspect animals.passd --all                      # every operator
  edge-passd inspect animals.passd --json | jq .target.features
"""


@click.command(epilog=EXAMPLES)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--all", "every_operator", is_flag=True, help="All operators, not the largest.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as it is.")
def inspect(bundle: Path, every_operator: bool, as_json: bool) -> None:
    """Show what is in a compiled BUNDLE, and check that all of it is whole.

    Nothing of it is loaded, so it may be for another machine than this.
    """
    from edge_passd.bundle import read_bundle

    manifest = read_bundle(bundle).manifest
    if as_json:
        click.echo(manifest.to_json())
        return
    from rich.console import Console

    from edge_passd.bundle.tables import show

    show(manifest, bundle, Console(), every_operator)
