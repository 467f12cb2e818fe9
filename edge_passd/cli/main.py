"""`edge-passd`: finds the command, and turns bad input into one line and exit status 2."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import click

from edge_passd import __version__
from edge_passd.errors import BadInput

BAD_INPUT, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class CommandRow:
    """target: "module:command", imported when the command is used. help: one line."""

    target: str
    help: str


COMMANDS = {
    "train": CommandRow("edge_passd.cli.train:train", "Train a detector on your photos."),
    "qat": CommandRow("edge_passd.cli.qat:qat", "Make a trained model int8."),
    "export": CommandRow("edge_passd.cli.export:export", "Write a trained model as ONNX."),
    "compile": CommandRow("edge_passd.cli.compile:compile_command", "Compile a model for a board."),
    "eval": CommandRow("edge_passd.cli.eval:evaluate", "Measure a model's accuracy."),
    "bench": CommandRow("edge_passd.cli.bench:bench", "Measure speed, and accuracy with it."),
    "report": CommandRow("edge_passd.cli.report:report", "Compare what bench measured, on a page."),
    "run": CommandRow("edge_passd.cli.run:run", "Detect in photos, videos, streams and cameras."),
    "inspect": CommandRow("edge_passd.cli.inspect:inspect", "Show what is in a model or bundle."),
    "doctor": CommandRow("edge_passd.cli.doctor:doctor", "Say what this machine can do."),
}

# What a workstation's commands need and a board does not have; the extra that brings it.
LIBRARIES = {
    "torch": "quant",
    "safetensors": "quant",
    "onnx": "quant",
    "onnxscript": "quant",
    "litert_torch": "tflite-export",
    "tvm": "targets",
    "matplotlib": "report",
    "jinja2": "report",
}


class LazyGroup(click.Group):
    """Commands from a table, so that `--help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, command = COMMANDS[name].target.partition(":")
        return getattr(import_module(module), command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`edge-passd COMMAND --help` shows examples.",
)
@click.version_option(__version__, prog_name="edge-passd")
def edge_passd() -> None:
    """A small object detector on an edge board: train, export, run, measure."""


def main(arguments: Sequence[str] | None = None, command: click.Command | None = None) -> None:
    """Run the command line and exit: 0, 1 for a defect, 2 for bad input, 130 for Ctrl-C.

    command: in place of `edge-passd` itself.
    """
    # OpenCV, its FFmpeg and its Qt report on stderr what becomes our own one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
    # A service manager's stop is a Ctrl-C too: outputs are completed before the end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(_status(arguments, command or edge_passd))


def _status(arguments: Sequence[str] | None, command: click.Command) -> int:
    try:
        return command.main(arguments, prog_name=command.name, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except BadInput as error:
        return _complain(str(error))
    except ModuleNotFoundError as error:
        if error.name not in LIBRARIES:
            raise
        extra = LIBRARIES[error.name]
        return _complain(f'this needs {error.name}: pip install "edge-passd[{extra}]"')
    except OSError as error:
        _silence_stdout()
        return _complain(": ".join(filter(None, (error.filename, error.strerror or str(error)))))


def _complain(message: str) -> int:
    print(f"edge-passd: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def _silence_stdout() -> None:
    """Send what is still buffered nowhere: Python would fail to write it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
