"""Cameras: Video4Linux devices, a Raspberry Pi's and a Jetson's own camera stacks."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_passd.board.identity import JETSON, RASPBERRY_PI
from edge_passd.board.sysfs import ask, children, printable, read_line
from edge_passd.doctor.child import Outcome, call
from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL, Finding
from edge_passd.doctor.v4l2 import Device, read_device

LIMIT_S = 5.0  # a broken camera may hang whoever opens it

_SHOWN_FORMATS = 4
_LISTED = re.compile(r"^\s*\d+ : (\S+)", re.MULTILINE)  # "0 : imx708 [4608x2592 10-bit RGGB] ..."
_ERRNO = re.compile(r"^\[Errno (\d+)\]")

Look = Callable[[Path], Outcome]


def look(device: Path) -> Outcome:
    """`v4l2.read_device` in a child process."""
    return call(read_device, device, limit_s=LIMIT_S)


def check_cameras(kind: str, root: Path = Path("/"), look: Look = look) -> Iterator[Finding]:
    """kind: of the board. root: of the machine's files."""
    if kind == RASPBERRY_PI:
        yield _libcamera(root)
    if kind == JETSON:
        yield _argus(root)
    devices = children(root / "dev", r"video[0-9]+")
    findings = [found for device in devices if (found := _video(device, root, look))]
    yield from findings
    if not findings:
        yield Finding(
            "V4L2 camera", OPTIONAL, "none (/dev/video*)",
            "plug one in; in a container: --device /dev/video0",
        )  # fmt: skip


def _video(device: Path, root: Path, look: Look) -> Finding | None:
    """None for a device that captures nothing: codecs and metadata have such files too."""
    name = read_line(root / "sys/class/video4linux" / device.name / "name") or "camera"
    path = f"/dev/{device.name}"
    outcome = look(device)
    if outcome.problem:
        cause, cure = _cause(outcome.problem)
        return Finding(path, BROKEN, f"{name}: {cause}", cure)
    seen: Device = outcome.value
    if not seen.captures:
        return None
    number = device.name.removeprefix("video")
    formats = " ".join(seen.formats[:_SHOWN_FORMATS]) or "no formats"
    if not seen.formats:
        return Finding(path, MISSING, f"{name} ({seen.driver}) has no formats: nothing attached?")
    return Finding(path, OK, f"{name} ({seen.driver}), {formats}: --camera {number}")


def _cause(problem: str) -> tuple[str, str]:
    match = _ERRNO.match(problem)
    number = int(match[1]) if match else 0
    if number in (errno.EACCES, errno.EPERM):
        return "no permission", "sudo usermod -aG video $USER, then log in again"
    if number == errno.EBUSY:
        return "another program uses it", "end that program; sudo fuser -v /dev/video* names it"
    said = os.strerror(number) if number else problem
    return printable(said), "plug it in again; sudo dmesg tells more"


def _libcamera(root: Path) -> Finding:
    programs = [root / "usr/bin" / name for name in ("rpicam-hello", "libcamera-hello")]
    program = next((each for each in programs if os.access(each, os.X_OK)), None)
    if program is None:
        return Finding(
            "camera module", OPTIONAL, "no rpicam-apps", "sudo apt-get install rpicam-apps"
        )
    text, problem = ask(program, "--list-cameras")
    if text is None:
        return Finding("camera module", BROKEN, problem, "sudo apt-get install --reinstall "
                       "rpicam-apps")  # fmt: skip
    sensors = _LISTED.findall(text)
    if not sensors:
        return Finding(
            "camera module", OPTIONAL, f"none, says {program.name}",
            "switch the board off and check the ribbon cable",
        )  # fmt: skip
    return Finding("camera module", OK, ", ".join(sensors))


def _argus(root: Path) -> Finding:
    """The daemon that hands out a Jetson's CSI cameras."""
    text, problem = ask(root / "usr/bin/systemctl", "show", "-p", "ActiveState", "--value",
                        "nvargus-daemon")  # fmt: skip
    restart = "sudo systemctl restart nvargus-daemon"
    if text is None:
        cure = "in a container: -v /tmp/argus_socket:/tmp/argus_socket"
        return Finding("nvargus-daemon", MISSING, problem, cure)
    if text.strip() != "active":
        return Finding("nvargus-daemon", BROKEN, f"{printable(text) or 'unknown'}", restart)
    return Finding("nvargus-daemon", OK, "active: csi:// cameras")
