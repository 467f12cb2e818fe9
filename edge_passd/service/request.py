"""What the user asks for, checked: the arguments of `edge-passd run`, its model, this machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from edge_passd.bundle import read_bundle
from edge_passd.cli.run import run as run_command
from edge_passd.errors import BadInput
from edge_passd.files import require_file
from edge_passd.service.unit import Unit, quote

BUNDLE = ".passd"
MODELS = (BUNDLE, ".onnx", ".tflite")
LOWEST_PORT = 1024

# Of video4linux, and of the Raspberry Pi's firmware, that tells whether the board is throttled.
CAMERA = ("char-video4linux", "char-media", "char-vcio")
CSI = ("char-dma_heap",)
# What CUDA opens on a Jetson, and on a PC.
GPU = ("nvmap", "nvhost*", "nvgpu/*/*", "nvsciipc", "host1x-fence", "nvidia*", "dri/renderD*")
GROUPS = ("video", "render")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_MEMORY = re.compile(r"[1-9]\d*[KMGT]?|[1-9]\d?%")
_HIDDEN = ("/home", "/root", "/run/user")  # by ProtectHome=


@dataclass(frozen=True)
class Request:
    """name: of the service. memory: MemoryMax= or None. model: a file, or None for the model that
    ships with the package. options: of `edge-passd run`, without the model.
    """

    name: str
    memory: str | None
    model: Path | None
    options: tuple[str, ...]

    @property
    def model_folder(self) -> Path:
        """Where the service's copy of the model is: it can read and not write it."""
        return Path("/usr/local/lib") / "edge-passd" / self.name

    @property
    def environment(self) -> Path:
        """The file with its secrets."""
        return Path("/etc/edge-passd") / f"{self.name}.env"

    @property
    def unit_file(self) -> Path:
        """Where systemd looks for what an administrator wrote."""
        return Path("/etc/systemd/system") / f"{self.name}.service"

    @property
    def state(self) -> Path:
        """Where the service writes; relative paths among its options are there."""
        return Path("/var/lib") / self.name


def parse(name: str, memory: str | None, arguments: tuple[str, ...]) -> Request:
    """Check what follows `--`: MODEL and options of `edge-passd run`, or options alone.

    Raises BadInput, or click.UsageError from `run` itself, for what would not run as a service.
    """
    require_name(name)
    if memory is not None and not _MEMORY.fullmatch(memory):
        raise BadInput(f"--memory {memory}: give an amount such as 1G or 512M, or a share like 50%")
    model, options = _split(arguments)
    for word in arguments:
        try:
            quote(word)
        except ValueError as error:
            raise BadInput(f"{error}; use names in UTF-8") from None
    context = run_command.make_context("edge-passd run", list(arguments))
    given = context.params
    if given["model"] != model:
        raise BadInput("the model must come first: -- MODEL --camera 0")
    if (given["source"] is None) == (given["camera"] is None):
        raise click.UsageError("give either --source or --camera", context)
    if given["source"] == "-":
        raise BadInput("a service has no standard input; give --camera or --source PATH|URL")
    if given["show"]:
        raise BadInput("a service has no screen for --show; give --serve PORT and use a browser")
    if given["token_file"] is not None:
        environment = Request(name, memory, model, options).environment
        raise BadInput(f"a service finds its token in {environment}; leave --token-file out")
    if given["mqtt"] and urlsplit(given["mqtt"]).password:
        environment = Request(name, memory, model, options).environment
        raise BadInput(
            f"everybody on this machine can read a service's --mqtt; leave the password out and "
            f"write it into {environment} after the installation"
        )
    if given["serve"] is not None and given["serve"] < LOWEST_PORT:
        raise BadInput(
            f"--serve {given['serve']}: only root may; give a port from {LOWEST_PORT} on"
        )
    return Request(name, memory, model, options)


def require_name(name: str) -> None:
    """BadInput unless `name` can name a service and a user."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"--name {name}: give at most 31 small letters, digits and -, a letter first"
        )


def to_unit(request: Request, systemd: int, groups: Iterable[str], devices: Path) -> Unit:
    """The unit for it, on this machine.

    systemd: version of the manager. groups: that exist here. devices: where device files are.
    Raises BadInput for a model that cannot be read; a bundle is checked to the last byte.
    """
    command = [sys.executable, "-I", "-m", "edge_passd", "run"]
    kind = ""
    if request.model is not None:
        if request.model.suffix.lower() == BUNDLE:
            kind = read_bundle(request.model).manifest.target.kind
        command.append(str(request.model_folder / request.model.name))
    csi = any("csi://" in word for word in request.options)
    # The pictures of a Jetson's CSI camera come through its GPU's memory.
    gpu = GPU if kind == "cuda" or csi else ()
    nodes = sorted(
        Path("/dev") / path.relative_to(devices) for each in gpu for path in devices.glob(each)
    )
    return Unit(
        name=request.name,
        command=(*command, *request.options),
        environment=request.environment,
        groups=tuple(group for group in GROUPS if group in set(groups)),
        devices=(*CAMERA, *(CSI if csi else ()), *map(str, nodes)),
        memory=request.memory,
        # A Jetson's camera daemon listens in /tmp.
        shares_tmp=csi,
        # OpenVINO does, and so does GStreamer; of NVIDIA's driver nobody knows.
        writes_code=csi or kind not in ("arm", "x86"),
        systemd=systemd,
    )


def hidden(paths: Iterable[Path]) -> Path | None:
    """The first of `paths` that a service cannot see, as it is in somebody's home."""
    for path in paths:
        for each in (path.absolute(), path.resolve()):
            if any(each.is_relative_to(home) for home in _HIDDEN):
                return each
    return None


def _split(arguments: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    if not arguments or arguments[0].startswith("-"):
        return None, arguments
    model = Path(arguments[0])
    require_file(model, f"a model: {', '.join(MODELS)}")
    if model.suffix.lower() not in MODELS:
        raise BadInput(f"{model} is no model file; give {', '.join(MODELS)}")
    return model, arguments[1:]
