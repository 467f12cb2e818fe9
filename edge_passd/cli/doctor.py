"""`edge-passd doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import click

EXAMPLES = """
\b
Examples:
  edge-passd doctor
  edge-passd doctor animals.onnx              # which engine runs this model, operator by operator
  edge-passd doctor --quick                   # what is installed, nothing tried
  edge-passd doctor --json - | jq .operators.openvino.deform_conv
"""


@click.command(epilog=EXAMPLES)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Look only; try no engine and no operator.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the report; - is stdout.")
@click.pass_context
def doctor(context: click.Context, model: Path | None, quick: bool, json_file: str | None) -> None:
    """Say what this machine can do, and what to do where it cannot.

    Every engine that is installed computes the model that ships with the package and tiny models
    of single operators, in processes of their own. With MODEL, an .onnx file, its operators are
    listed and every engine tries it.

    Lines say ok, missing, optional (missing, which is no fault), broken or untried. The exit
    status is 1 if something is broken.
    """
    from rich.console import Console

    from edge_passd.doctor.checkup import check_up
    from edge_passd.doctor.text import show
    from edge_passd.files import naming, require_writable, write_text
    from edge_passd.sinks.json_lines import STDOUT

    file = Path(json_file) if json_file not in (None, STDOUT) else None
    if file is not None:
        require_writable(file)
    console = Console(stderr=json_file == STDOUT, highlight=False)
    with console.status("") as status:
        report = check_up(model, quick, lambda words: status.update(words))
    content = json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
    if json_file == STDOUT:
        click.echo(content)
    else:
        show(report, console)
    if file is not None:
        with naming(file):
            write_text(file, f"{content}\n")
    context.exit(1 if report.broken else 0)
