"""`edge-passd run`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from edge_passd.cli.options import ALLOW_SATURATION, Finite, GroupedCommand, GroupedOption
from edge_passd.engines.table import AUTO, ENGINES

EXAMPLES = """
\b
Photos and videos:
  edge-passd run --source street.jpg --save boxes.jpg
  edge-passd run model.onnx --source photos/ --save found/ --json found.jsonl
  edge-passd run model.onnx --source "trip/**/*.jpg" --classes dog,cat --conf 0.5
  edge-passd run model.onnx --source drive.mp4 --save boxes.mp4 --engine openvino
\b
A camera, on a screen and in a browser:
  edge-passd run animals.passd --camera 0 --show
  edge-passd run animals.passd --camera 0 --camera-size 640x480 --mjpg --serve 8080
  edge-passd run animals.passd --source csi://0 --serve 8080 --host 0.0.0.0 --token-file token
\b
Days on end, without a screen:
  edge-passd run animals.passd --source rtsp://192.168.1.20/live --max-fps 5 --json found.jsonl
  edge-passd run animals.passd --camera 0 --track --line door:0.2,0.7,0.8,0.7 --json - | jq .events
  edge-passd run animals.passd --camera 0 --mqtt mqtt://broker.local/yard/animals
  edge-passd run animals.passd --camera 0 --duration 3600 --save hour.mp4
"""

_UNITS = {"": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}


def _names(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _size(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no size; give one like 640x480")
    return int(match[1]), int(match[2])


def _bytes(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,12})\s*([kmg]b)?", value.lower())
    if match is None or int(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is no amount of bytes; give one like 10MB")
    return int(match[1]) * _UNITS[match[2] or ""]


def _group(name: str) -> Callable[..., Any]:
    return partial(click.option, cls=GroupedOption, group=name)


_source, _camera, _model = _group("What to look at"), _group("Cameras and streams"), _group("Model")
_output, _send, _page = _group("Outputs"), _group("Messages"), _group("Page in a browser")
_track, _limit = _group("Tracking and counting"), _group("Limits")

_POSITIVE = Finite(min=0, min_open=True)


@click.command(cls=GroupedCommand, epilog=EXAMPLES)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@_source(
    "--source", metavar="PATH|GLOB|URL|-",
    help="Photo, folder, quoted pattern, video, rtsp:// or http:// stream, csi://0, or stdin (-).",
)  # fmt: skip
@_source("--camera", type=click.IntRange(min=0), metavar="N", help="Camera number.")
@_camera("--camera-size", callback=_size, metavar="WxH", help="Ask for this size, as 640x480.")
@_camera("--camera-fps", type=_POSITIVE, metavar="F", help="Ask for this rate.")
@_camera("--mjpg", is_flag=True, help="Ask for MJPG: more pixels and frames through USB.")
@_camera("--udp", is_flag=True, help="RTSP over UDP: a lost packet is a smear, not a pause.")
@_camera(
    "--timeout", type=_POSITIVE, default=10.0, show_default=True, metavar="S",
    help="So long without a frame, and the source counts as lost and is opened again.",
)  # fmt: skip
@_camera("--give-up", type=_POSITIVE, metavar="S", help="End when it stays lost for so long.")
@_model(
    "--engine", type=click.Choice([AUTO, *ENGINES]), default=AUTO, show_default=True,
    help="What computes; auto is the first installed that takes the model.",
)  # fmt: skip
@_model("--threads", type=click.IntRange(min=1), metavar="N", help="Of the engine.")
@_model("--conf", type=Finite(0, 1), default=0.4, show_default=True, help="Least score.")
@_model("--classes", default="", callback=_names, metavar="A,B", help="Only these classes.")
@_model("--allow-saturation", is_flag=True, help=ALLOW_SATURATION)
@_model("--soft-nms", is_flag=True, help="Lower the score of overlaps, do not drop them.")
@_track("--track", is_flag=True, help="Give what is seen an id that stays.")
@_track(
    "--line", "lines", multiple=True, metavar="NAME:X1,Y1,X2,Y2",
    help="Count who crosses it; pixels, or fractions of the picture. Repeatable.",
)  # fmt: skip
@_track(
    "--zone", "zones", multiple=True, metavar="NAME:X,Y,X,Y,...",
    help="Say who enters and leaves it. Repeatable.",
)  # fmt: skip
@_output(
    "--save", type=click.Path(path_type=Path), metavar="FILE|DIR",
    help="Draw the boxes: a picture for a photo, a folder for many, .mp4 for the rest.",
)  # fmt: skip
@_output("--json", metavar="FILE|-", help="One JSON line for each frame; - is stdout.")
@_output(
    "--json-rotate", callback=_bytes, metavar="BYTES",
    help="Start FILE anew at so many, as 10MB; the old one becomes FILE.1. "
    "A camera's is, at 100MB.",
)  # fmt: skip
@_output("--json-keep", type=click.IntRange(min=0), metavar="N", help="Old files to keep; 5.")
@_output("--show", is_flag=True, help="Show a window; q or Esc ends.")
@_page("--serve", type=click.IntRange(1, 65535), metavar="PORT", help="Show a live page there.")
@_page(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
    help="Its address. Others than this machine's own take a token: yours, or a new one.",
)  # fmt: skip
@_page(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE",
    help="Holds the token that viewers must know; or set EDGE_PASSD_TOKEN.",
)  # fmt: skip
@_send(
    "--mqtt", metavar="URL",
    help="Publish what is found: mqtt[s]://[user@]host[:port]/topic. "
    "The password is taken from EDGE_PASSD_MQTT_PASSWORD.",
)  # fmt: skip
@_send("--webhook", metavar="URL", help="POST what is found there.")
@_limit("--max-frames", type=click.IntRange(min=1), metavar="N", help="Stop after N.")
@_limit("--duration", type=_POSITIVE, metavar="S", help="Stop after S seconds.")
@_limit(
    "--max-fps", type=_POSITIVE, metavar="F",
    help="At most so many frames a second: of a camera others are skipped, a file takes longer.",
)  # fmt: skip
def run(
    source: str | None,
    camera: int | None,
    camera_size: tuple[int, int] | None,
    camera_fps: float | None,
    mjpg: bool,
    udp: bool,
    timeout: float,
    give_up: float | None,
    **options: Any,
) -> None:
    """Detect in photos, videos, streams and cameras.

    MODEL is an .onnx or .tflite file, a .passd bundle or a run folder; without one, the model that
    ships with the package.
    """
    if (source is None) == (camera is None):
        raise click.UsageError("give either --source or --camera")
    from edge_passd.run import RunOptions
    from edge_passd.run import run as start
    from edge_passd.sources.options import CameraOptions

    width, height = camera_size or (None, None)
    asked = CameraOptions(width, height, camera_fps, mjpg, timeout, give_up, udp)
    start(RunOptions(source=source or "", camera=camera, camera_options=asked, **options))
