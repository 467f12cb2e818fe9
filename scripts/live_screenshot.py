"""Photographs the live view for the README: the shipped model on a picture that moves.

.venv/bin/python scripts/live_screenshot.py docs/images/live.png
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import cos, pi, sin
from pathlib import Path

import click
import cv2
import numpy as np

from edge_passd import Detector
from edge_passd.errors import BadInput
from edge_passd.files import replacing, require_writable
from edge_passd.perception import Perception
from edge_passd.serve import ServeOptions, live_view
from edge_passd.sinks.sink import Write
from edge_passd.sources.source import Frame, SourceState

FRAME = (640, 480)
FPS, PERIOD_S = 15.0, 6.0  # of the camera's way over the photo and back
CONF = 0.4
FILMED_S = 9.0  # before the shot, so that the figures have something to tell
COLOURS = 256  # of the PNG, which a palette makes half as large
BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def moving_view(photo: np.ndarray, time_s: float) -> np.ndarray:
    """(480, 640, 3) uint8: a part of `photo` (H, W, 3) that pans and zooms as time goes by."""
    height, width = photo.shape[:2]
    angle = 2 * pi * time_s / PERIOD_S
    side = min(height, width * 3 / 4) * (0.93 + 0.07 * cos(angle))
    y = (height - side) * (0.5 + 0.5 * sin(angle))
    x = (width - side * 4 / 3) * (0.5 + 0.5 * sin(angle / 2))
    part = photo[int(y) : int(y + side), int(x) : int(x + side * 4 / 3)]
    return cv2.resize(part, FRAME, interpolation=cv2.INTER_CUBIC)


@contextmanager
def filming(photo: np.ndarray, look: Perception, write: Write) -> Iterator[None]:
    """Within, results of a camera that moves over the photo are written."""
    stop, start = threading.Event(), time.monotonic()

    def film() -> None:
        index = 0
        while not stop.wait(max(0.0, start + index / FPS - time.monotonic())):
            image = moving_view(photo, index / FPS)
            write(look(Frame(image, "camera:0", index, index / FPS, time.monotonic())))
            index += 1

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def photograph(url: str, path: Path, size: tuple[int, int]) -> None:
    """Write what a browser of `size` pixels shows at `url` after a while."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium")
    if browser_path is None:
        raise BadInput("no chromium here; scripts/setup_programs installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=list(BROWSER_OPTIONS)
        )
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(url, wait_until="domcontentloaded")  # the picture never ends
        page.wait_for_timeout(FILMED_S * 1000)
        shot = Image.open(BytesIO(page.screenshot(type="png"))).convert("RGB")
        browser.close()
    with replacing(path) as temporary:
        shot.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2).save(temporary, optimize=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--size", type=(int, int), default=(1180, 610), show_default=True)
def main(path: Path, size: tuple[int, int]) -> None:
    from skimage import data

    require_writable(path)
    photo = np.ascontiguousarray(data.chelsea()[..., ::-1])
    detector = Detector()
    describe = {
        "model": detector.info.name,
        "engine": detector.engine,
        "precision": "int8",
        "classes": list(detector.classes),
        "source": "camera:0",
    }
    options = ServeOptions(free_port())
    with (
        live_view(options, describe, SourceState) as write,
        filming(photo, Perception(detector, CONF, track=True), write),
    ):
        photograph(f"http://127.0.0.1:{options.port}/", path, size)
    click.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        raise SystemExit(f"edge-passd: {error}") from error
